// One metric on the whole window: large charts, every series in a table, and what is known of it.

import { Chart, HeatStrip, rangeOf } from './chart.js';
import { conditionsOf } from './conditions.js';
import { breakable, el, setEnded, setText } from './dom.js';
import { readExemplars } from './exemplars.js';
import { clock, format, formatBound, labelOf, percentile, rateOf, unitOfName } from './format.js';
import { byCurrency, isMoney } from './money.js';
import { PROCESS } from './processes.js';
import { promql } from './promql.js';
import { QUANTILES, Track, bucketIncreases, quantiles, rate, total } from './statistics.js';

/** How many lines a chart shows, how many rows the table, and how many values of a label there are to choose from. */
const MOST_LINES = 6;
const MOST_ROWS = 200;
const MOST_CHIPS = 24;

/** Kinds of which all series are shown as one, where nothing tells them apart. */
const TOGETHER = new Set(['counter', 'histogram']);

const TONES = ['accent', 'strong', 'warn', 'good', 'soft', 'muted'];

const COPY = 'Copy as PromQL';

export class Sheet {
  #state = null;
  #layout = null;
  #chart = null;
  #heat = null;
  #range = null;

  /**
   * @param {HTMLDialogElement} dialog
   * @param {import('./card.js').Context & {pins: import('./store.js').Pins, groups: any[]}} context
   * @param {{changed: () => void, pinned: () => void}} tells what else has to follow
   */
  constructor(dialog, context, tells) {
    this.dialog = dialog;
    this.context = context;
    this.tells = tells;
    dialog.addEventListener('close', () => this.#closed());
  }

  /** What is open, as parameters of an address; null while nothing is. */
  get parameters() {
    if (!this.#state) return null;
    const { name, where, by, isLog, sort } = this.#state;
    return {
      metric: name,
      where: where.length ? JSON.stringify(where) : null,
      by,
      log: isLog ? '1' : null,
      sort: sort && `${sort.isDown ? '-' : ''}${sort.column}`,
    };
  }

  /** Opens what an address says, where there is such a metric. */
  restore(parameters) {
    const name = parameters.get('metric');
    if (!name || !this.context.history.latest?.layout.family(name)) return;
    const sort = /^(-?)(\d+)$/.exec(parameters.get('sort') ?? '');
    this.open(name, {
      where: whereOf(parameters.get('where')),
      by: parameters.get('by'),
      isLog: parameters.get('log') === '1',
      sort: sort && { column: Number(sort[2]), isDown: sort[1] === '-' },
    });
  }

  open(name, { where = [], by = null, isLog = false, sort = null } = {}) {
    const family = this.context.history.latest?.layout.family(name);
    if (!family) return;
    const declared = this.context.families.get(name);
    const unit = declared?.unit ?? unitOfName(name, family.kind);
    this.#state = { name, kind: family.kind, declared, unit, help: declared?.help || family.help, where, by, isLog, sort };
    this.#state.shownUnit = family.kind === 'counter' ? rateOf(unit) : unit;
    this.#build();
    if (!this.dialog.open) this.dialog.showModal();
    this.#arrange();
    this.tells.changed();
  }

  close() {
    if (this.dialog.open) this.dialog.close();
  }

  /** Shows the latest sample. */
  update() {
    if (!this.#state) return;
    const { history } = this.context;
    if (history.latest.layout !== this.#layout) this.#arrange();
    this.track.extend(history);
    const { shownUnit, kind, isLog } = this.#state;
    const fromZero = kind !== 'gauge' && kind !== 'untyped';
    this.#range = rangeOf([this.track], shownUnit, this.#range, fromZero, { currency: this.currency });
    this.#chart.draw(this.track, { ...this.#range, isLog });
    if (this.#heat) {
      this.cells.track.extend(history);
      this.#heat.draw(this.cells.track, this.cells.bounds);
    }
    this.#legend();
    this.#table();
    // It may have been pinned in another tab.
    this.#tellPin();
  }

  restyle() {
    this.#chart?.restyle();
    this.#heat?.restyle();
  }

  #closed() {
    this.#chart?.destroy();
    this.#heat?.destroy();
    this.#chart = this.#heat = this.#state = this.#layout = null;
    this.dialog.replaceChildren();
    this.tells.changed();
  }

  #build() {
    const { name, help, kind, isLog } = this.#state;
    this.pin = el('button', { type: 'button', class: 'chip', onclick: () => this.#togglePin() });
    this.log = el('button', { type: 'button', class: 'chip', 'aria-pressed': String(isLog), onclick: () => this.#toggleLog() }, 'Log scale');
    this.chips = el('div', { class: 'label-chips' });
    this.plot = el('div', { class: 'sheet-plot', role: 'img' });
    this.strip = kind === 'histogram' ? el('div', { class: 'sheet-strip' }) : null;
    this.legend = el('ul', { class: 'sheet-legend' });
    this.query = el('input', { readonly: '', 'aria-label': 'As a query for Prometheus', class: 'query' });
    this.copy = el('button', { type: 'button', class: 'chip', onclick: () => this.#copy() }, COPY);
    this.table = el('table', { class: 'sheet-table' });
    this.rest = el('p', { class: 'quiet' });
    this.traces = el('ul', { class: 'traces' });
    this.dialog.setAttribute('aria-labelledby', 'sheet-title');
    this.dialog.replaceChildren(
      el(
        'header',
        { class: 'sheet-head' },
        el('h2', { id: 'sheet-title', tabindex: '-1', autofocus: '' }, ...breakable(name)),
        this.pin,
        this.log,
        el('button', { type: 'button', class: 'chip', onclick: () => this.close() }, 'Close'),
      ),
      el('p', { class: 'sheet-help' }, help),
      this.chips,
      this.plot,
      ...(this.strip ? [this.strip] : []),
      this.legend,
      el('p', { class: 'sheet-query' }, this.query, this.copy),
      el('div', { class: 'sheet-scroll', tabindex: '0', role: 'region', 'aria-label': 'Series' }, this.table),
      this.rest,
      this.#meaning(),
    );
    this.#tellPin();
    if (this.#state.declared?.exemplars) this.#readTraces(name);
  }

  /** What the declaration says. */
  #meaning() {
    const { declared, kind, unit, name } = this.#state;
    const facts = [
      ['Kind', kind],
      ['Unit', unit],
    ];
    if (declared?.buckets?.length) facts.push(['Buckets up to', declared.buckets.map((bound) => formatBound(bound, unit)).join(', ')]);
    if (declared) facts.push(['Budget', `${declared.budget.toLocaleString('en-US')} series`], ['Declared by', declared.crate]);
    for (const { key, help, values, limit } of declared?.labels ?? []) {
      // An agent limits no values of what it adds itself.
      const known = values?.join(', ') ?? (limit ? `Up to ${limit} values.` : null);
      facts.push([`Label ${key}`, [help, known].filter(Boolean).join(' ')]);
    }
    facts.push(...conditionsOf(name, this.context, this.context.history.latest.layout));
    return el(
      'section',
      { class: 'meaning' },
      el('dl', {}, ...facts.flatMap(([term, text]) => [el('dt', {}, term), el('dd', {}, text)])),
      this.traces,
    );
  }

  async #readTraces(name) {
    const found = await readExemplars(name).catch(() => []);
    if (this.#state?.name !== name || found.length === 0) return;
    const items = found.slice(0, 20).map(({ trace, value, at }) =>
      el('li', {}, el('code', {}, trace), ` ${format(value, this.#state.unit)}`, at === null ? '' : ` at ${clock(at)}`),
    );
    this.traces.replaceChildren(el('li', { class: 'quiet' }, 'Traces of the latest observations'), ...items);
  }

  #togglePin() {
    this.context.pins.toggle(this.#state.name).catch(() => {});
    this.#tellPin();
    this.tells.pinned();
  }

  #tellPin() {
    const isPinned = this.context.pins.has(this.#state.name);
    this.pin.setAttribute('aria-pressed', String(isPinned));
    setText(this.pin, isPinned ? 'Pinned' : 'Pin to the first screen');
  }

  #toggleLog() {
    this.#state.isLog = !this.#state.isLog;
    this.log.setAttribute('aria-pressed', String(this.#state.isLog));
    this.#draw();
    this.tells.changed();
  }

  async #copy() {
    this.query.select();
    const { copy } = this;
    try {
      await navigator.clipboard.writeText(this.query.value);
      setText(copy, 'Copied');
    } catch {
      // Browsers let pages write there over HTTPS and from this machine only.
      setText(copy, 'Selected: copy it by keyboard');
    }
    setTimeout(() => setText(copy, COPY), 2000);
  }

  /** Makes what depends on which series there are. */
  #arrange() {
    const { layout } = this.context.history.latest;
    const { name, where, by, kind } = this.#state;
    this.#layout = layout;
    const all = layout.family(name)?.series ?? [];
    this.series = all.filter(({ labels }) => where.every(([key, value]) => labelOf(labels, key) === value));
    this.currency = currencyOf(this.series);
    // Amounts of several currencies neither add up nor have common quantiles.
    this.isMixed = isMoney(this.#state.declared, this.#state.shownUnit) && byCurrency(this.series).size > 1;
    this.apart = by ?? (this.isMixed && TOGETHER.has(kind) ? 'currency' : null);
    this.keys = [...new Set(all.flatMap(({ labels }) => labels.map(([key]) => key)))].filter((key) => !this.context.globals.has(key));
    this.lines = this.#linesOf(this.apart);
    const keys = this.lines.map((line) => line.keys);
    this.track =
      kind === 'histogram' && !this.apart
        ? new Track(QUANTILES.length, (history, index) => quantiles(history, index, name, keys[0]))
        : new Track(keys.length, (history, index) => keys.map((some) => this.#read(history, index, some)));
    this.query.value = promql({ name, kind, where, by: this.apart });
    this.#chooseFrom(all);
    this.#draw();
  }

  #read(history, index, keys) {
    const { name, kind } = this.#state;
    if (kind === 'counter') return rate(history, index, name, keys);
    if (kind === 'histogram') return quantiles(history, index, name, keys, [0.95])[0];
    const snapshot = history.snapshots[index];
    if (kind !== 'summary') return total(snapshot, name, keys);
    const series = snapshot.layout.series(name, keys[0]);
    return series ? snapshot.values[series.parts.at(-1)] : NaN;
  }

  /** A line for each value of a label, the largest first; without one, all series together, or each gauge by itself. */
  #linesOf(by) {
    const { kind } = this.#state;
    if (!by && TOGETHER.has(kind)) return [{ name: 'all', series: this.series, keys: this.series.map(({ key }) => key) }];
    const groups = new Map();
    for (const series of this.series) {
      const title = by ? labelOf(series.labels, by) ?? '' : titleOf(series, this.context.globals);
      if (!groups.has(title)) groups.set(title, []);
      groups.get(title).push(series);
    }
    // Amounts of several currencies have no sum.
    const adds = (some) => !this.isMixed || byCurrency(some).size === 1;
    const lines = [...groups]
      .filter(([, some]) => adds(some))
      .map(([name, some]) => ({ name: name || 'all', series: some, keys: some.map(({ key }) => key), currency: currencyOf(some) }));
    const { history } = this.context;
    const weight = new Map(lines.map((line) => [line, Math.abs(this.#read(history, history.snapshots.length - 1, line.keys)) || 0]));
    return lines.sort((a, b) => weight.get(b) - weight.get(a)).slice(0, MOST_LINES);
  }

  #draw() {
    const { kind, shownUnit, isLog, unit, declared, name } = this.#state;
    this.#chart?.destroy();
    this.#heat?.destroy();
    this.plot.replaceChildren();
    const isQuantiles = kind === 'histogram' && !this.apart;
    this.drawn = isQuantiles
      ? QUANTILES.map((q, index) => ({ name: percentile(q), tone: ['soft', 'accent', 'strong'][index] }))
      : this.lines.map(({ name, currency }, index) => ({ name, currency, tone: TONES[index], area: this.lines.length === 1 && unit !== 'currency' }));
    const more = { currency: this.currency };
    this.#chart = new Chart(this.plot, { lines: this.drawn, unit: shownUnit, more, isLog, stepped: unit === '0 or 1' });
    this.plot.setAttribute('aria-label', name);
    this.#range = null;
    this.#heat = null;
    const hasHeat = this.strip && this.series.length > 0 && !this.isMixed;
    if (this.strip) this.strip.hidden = !hasHeat;
    if (hasHeat) {
      const keys = this.series.map(({ key }) => key);
      const { bounds } = this.series[0];
      const track = new Track(bounds.length, ({ snapshots }, index) => {
        const [from, to] = [snapshots[index - 1], snapshots[index]];
        if (!from || from.run !== to.run) return bounds.map(() => NaN);
        const { counts } = bucketIncreases(from, to, name, keys);
        return counts.map((count, part) => count - (part ? counts[part - 1] : 0));
      });
      this.cells = { track, bounds };
      this.#heat = new HeatStrip(this.strip, { unit, lowest: declared?.range?.[0] ?? undefined });
    }
    this.update();
  }

  #legend() {
    const { shownUnit } = this.#state;
    const { now } = this.track;
    if (this.legend.childElementCount !== this.drawn.length || this.legend.dataset.of !== this.drawn.map(({ name }) => name).join('\n')) {
      this.legend.dataset.of = this.drawn.map(({ name }) => name).join('\n');
      this.legend.replaceChildren(...this.drawn.map(({ name, tone }) => el('li', {}, el('span', { class: `swatch ${tone}` }), el('span', {}, name), el('b'))));
    }
    now.forEach((value, index) => {
      const currency = this.currency ?? this.drawn[index].currency;
      const line = this.legend.children[index];
      setText(line.querySelector('b'), format(value, shownUnit, { currency, scale: this.#range?.scale }));
      // The lines of quantiles are of all series.
      const ended = this.#endOf((this.lines[index] ?? this.lines[0]).series);
      line.classList.toggle('gone', ended !== '');
      setEnded(line, ended);
    });
    this.plot.dataset.values = JSON.stringify(now);
  }

  /** Chips: one for each value of each label, to keep the series that have it, and one to tell series apart by the label. */
  #chooseFrom(all) {
    const { where, by } = this.#state;
    const rows = this.keys.map((key) => {
      const values = [...new Set(all.map(({ labels }) => labelOf(labels, key)).filter((value) => value !== undefined))].sort();
      const chosen = where.find(([other]) => other === key)?.[1];
      const chips = values.slice(0, MOST_CHIPS).map((value) =>
        el(
          'button',
          { type: 'button', class: 'chip', 'aria-pressed': String(value === chosen), onclick: () => this.#choose(key, value) },
          value || '""',
        ),
      );
      const more = values.length > MOST_CHIPS ? el('span', { class: 'quiet' }, `and ${values.length - MOST_CHIPS} more`) : null;
      const group = el(
        'button',
        { type: 'button', class: 'chip by', 'aria-pressed': String(by === key), 'aria-label': `Group by ${key}`, onclick: () => this.#groupBy(key) },
        'by ',
        key,
      );
      return el('div', { class: 'chip-row', role: 'group', 'aria-label': key }, group, ...chips, more);
    });
    const text = JSON.stringify([where, by, rows.map((row) => row.textContent)]);
    if (this.chips.dataset.of === text) return;
    this.chips.dataset.of = text;
    const focused = this.chips.contains(document.activeElement) ? document.activeElement.textContent : null;
    this.chips.replaceChildren(...rows);
    if (focused !== null) [...this.chips.querySelectorAll('button')].find(({ textContent }) => textContent === focused)?.focus();
  }

  #choose(key, value) {
    const { where } = this.#state;
    const isChosen = where.some(([other, chosen]) => other === key && chosen === value);
    const rest = where.filter(([other]) => other !== key);
    this.#change({ where: isChosen ? rest : [...rest, [key, value]] });
  }

  #groupBy(key) {
    this.#change({ by: this.#state.by === key ? null : key });
  }

  #change(changes) {
    Object.assign(this.#state, changes);
    this.#arrange();
    this.tells.changed();
  }

  /** Every series, or the first of them in the order that was chosen. */
  #table() {
    const { kind, sort } = this.#state;
    const columns = [...this.keys, ...COLUMNS[kind] ?? COLUMNS.gauge];
    const rows = this.series.map((series) => ({ cells: this.#row(series), ended: this.#endOf([series]) }));
    const by = ({ cells }) => cells[sort.column];
    if (sort && sort.column < columns.length) rows.sort((a, b) => compared(by(a), by(b)) * (sort.isDown ? -1 : 1));
    const shown = rows.slice(0, MOST_ROWS);
    this.#head(columns);
    const body = this.table.tBodies[0];
    while (body.rows.length > shown.length) body.deleteRow(-1);
    shown.forEach(({ cells, ended }, index) => {
      const line = body.rows[index] ?? body.insertRow();
      while (line.cells.length < cells.length) line.insertCell().append('');
      while (line.cells.length > cells.length) line.deleteCell(-1);
      line.classList.toggle('gone', ended !== '');
      cells.forEach(({ text, value }, column) => {
        const cell = line.cells[column];
        setText(cell.firstChild, text);
        setEnded(cell, this.keys[column] === PROCESS ? ended : '');
        cell.className = value === undefined ? '' : 'number';
      });
    });
    setText(this.rest, rows.length > shown.length ? `${shown.length} of ${rows.length.toLocaleString('en-US')} series` : `${rows.length} series`);
  }

  /** The word for what has become of the one process that these series are of: nothing while it lives, or where they are of several. */
  #endOf(series) {
    const [one, ...others] = new Set(series.map(({ labels }) => this.context.gone.get(labelOf(labels, PROCESS)) ?? ''));
    return others.length ? '' : (one ?? '');
  }

  #head(columns) {
    const { sort } = this.#state;
    const text = JSON.stringify([columns, sort]);
    if (this.table.dataset.of === text) return;
    this.table.dataset.of = text;
    const focused = this.table.contains(document.activeElement) ? document.activeElement.textContent : null;
    const cells = columns.map((name, column) => {
      const isSorted = sort?.column === column;
      const order = isSorted ? (sort.isDown ? 'descending' : 'ascending') : null;
      return el('th', { scope: 'col', 'aria-sort': order }, el('button', { type: 'button', onclick: () => this.#sortBy(column) }, name));
    });
    if (!this.table.tHead) this.table.append(el('thead'), el('tbody'));
    this.table.tHead.replaceChildren(el('tr', {}, ...cells));
    if (focused !== null) [...this.table.tHead.querySelectorAll('button')].find(({ textContent }) => textContent === focused)?.focus();
  }

  #sortBy(column) {
    const { sort } = this.#state;
    // Names go up first, numbers down.
    const isDown = sort?.column === column ? !sort.isDown : column >= this.keys.length;
    this.#state.sort = { column, isDown };
    this.#table();
    this.tells.changed();
  }

  #row(series) {
    const { history } = this.context;
    const { name, kind, unit, shownUnit } = this.#state;
    const more = { currency: labelOf(series.labels, 'currency') };
    const last = history.snapshots.length - 1;
    const cell = (value, of) => ({ value, text: format(value, of, more) });
    const labels = this.keys.map((key) => ({ text: labelOf(series.labels, key) ?? '' }));
    const { values } = history.latest;
    switch (kind) {
      case 'counter':
        return [...labels, cell(rate(history, last, name, [series.key]), shownUnit), cell(values[series.at], unit)];
      case 'histogram':
        return [...labels, ...quantiles(history, last, name, [series.key]).map((value) => cell(value, unit)), cell(values[series.count], 'count')];
      case 'summary':
        return [...labels, cell(values[series.parts.at(-1)], unit), cell(values[series.count], 'count')];
      default:
        return [...labels, cell(values[series.at], unit)];
    }
  }
}

/** What stands behind the labels, by kind. */
const COLUMNS = {
  counter: ['rate', 'total'],
  histogram: [...QUANTILES.map(percentile), 'observations'],
  summary: ['highest quantile', 'observations'],
  gauge: ['value'],
};

/** Numbers by size, what is undefined last; texts by their letters. */
function compared(a, b) {
  if (a.value === undefined) return a.text.localeCompare(b.text);
  const [one, other] = [a, b].map(({ value }) => (Number.isNaN(value) ? -Infinity : value));
  return one === other ? 0 : one - other;
}

function titleOf(series, globals) {
  const own = series.labels.filter(([key]) => !globals.has(key));
  return own.map(([, value]) => value || '""').join(' · ');
}

/** The one currency of these series. */
function currencyOf(series) {
  const found = new Set(series.map(({ labels }) => labelOf(labels, 'currency')));
  return found.size === 1 ? [...found][0] : undefined;
}

/** Pairs of labels and values from an address; none from one that somebody made up. */
function whereOf(text) {
  try {
    const pairs = JSON.parse(text ?? '[]');
    const isPair = (pair) => Array.isArray(pair) && pair.length === 2 && pair.every((part) => typeof part === 'string');
    return Array.isArray(pairs) ? pairs.filter(isPair) : [];
  } catch {
    return [];
  }
}
