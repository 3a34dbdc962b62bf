// A family of metrics as a card: small multiples, one for each of its series or of the busiest of them.

import { Chart, HeatStrip, rangeOf } from './chart.js';
import { breakable, el, setEnded, setText } from './dom.js';
import { format, formatTicks, labelOf, momentAndAge, percentile, rateOf, unitOfName } from './format.js';
import { PROCESS } from './processes.js';
import { amountText, amounts, byCurrency, isMoney } from './money.js';
import { QUANTILES, Track, bucketIncreases, quantiles, rate, total } from './statistics.js';

/** How many series a card shows before it is opened: as charts, or as lines of text. And how many more each time. */
const FEW = 4;
const FEW_LINES = 7;
const MORE = 24;

/** Titles longer than this, in characters, stand above their values. */
const LONG = 22;

/** After how many samples the busiest series are chosen anew. */
const PATIENCE = 30;

const QUANTILE_TONES = ['soft', 'accent', 'strong'];

/**
 * What a card needs to know of the page.
 * @typedef {Object} Context
 * @property {import('./history.js').History} history
 * @property {Map<string, any>} families of the catalogue, by name
 * @property {Set<string>} globals keys of the labels that stand on every series
 * @property {Map<string, string>} [gone] processes that are dead or have ended, with that word
 * @property {(name: string) => void} [open] shows one metric on the whole window
 */

export class Card {
  #facets = [];
  #selected = null;
  #age = 0;
  #filter = null;
  #range = null;
  #isActive = false;

  /**
   * @param {Context} context
   * @param {import('./exposition.js').Family} family
   */
  constructor(context, family) {
    this.context = context;
    this.name = family.name;
    this.kind = family.kind;
    const declared = context.families.get(family.name);
    this.unit = declared?.unit ?? unitOfName(family.name, family.kind);
    this.help = declared?.help || family.help;
    this.few = isText(this.unit) ? FEW_LINES : FEW;
    this.shown = this.few;
    this.lowest = declared?.range?.[0] ?? undefined;
    this.labelOrder = declared?.labels.map(({ key }) => key) ?? [];
    this.shownUnit = this.kind === 'counter' ? rateOf(this.unit) : this.unit;
    this.#build(context, family);
  }

  /** Makes charts; to be called when the card comes into sight. */
  activate() {
    if (this.#isActive) return;
    this.#isActive = true;
    this.#select();
    this.update();
  }

  /** Lets go of them. */
  deactivate() {
    if (!this.#isActive) return;
    this.#isActive = false;
    this.#clear();
  }

  /** Shows the latest sample. */
  update() {
    if (!this.#isActive) return;
    const { history } = this.context;
    this.#age += 1;
    if (this.#age > PATIENCE || history.latest.layout !== this.#selected?.layout) this.#select();
    for (const facet of this.#facets) facet.track.extend(history);
    const tracks = this.#facets.map((facet) => facet.track);
    const fromZero = this.kind !== 'gauge' && this.kind !== 'untyped';
    this.#range = rangeOf(tracks, this.shownUnit, this.#range, fromZero, { currency: this.#currency });
    for (const facet of this.#facets) this.#show(facet);
    this.#tellScale();
    this.#sum();
  }

  restyle() {
    for (const facet of this.#facets) {
      facet.chart?.restyle();
      facet.heat?.restyle();
    }
  }

  /**
   * Shows only series for which this holds, from the next sample on.
   * @param {((series: import('./exposition.js').Series) => boolean)|null} filter
   */
  filter(filter) {
    if (filter === this.#filter) return;
    this.#filter = filter;
    this.#selected = null;
  }

  #build(context, family) {
    this.now = el('span', { class: 'now' });
    this.facets = el('div', { class: 'facets' });
    this.note = el('span', { class: 'note' });
    this.scale = el('span', { class: 'scale', title: 'The scale of each chart here' });
    this.fewer = el('button', { class: 'link', type: 'button', hidden: '', onclick: () => this.#reveal(this.few) }, 'Show fewer');
    this.more = el('button', {
      class: 'link',
      type: 'button',
      hidden: '',
      'aria-expanded': 'false',
      onclick: () => this.#reveal(this.shown === this.few ? MORE : this.shown + MORE),
    });
    this.legend = el('span', { class: 'legend' });
    this.footer = el('footer', {}, this.note, this.legend, this.scale, this.fewer, this.more);
    this.element = el(
      'article',
      { class: 'card', dataset: { family: this.name } },
      el(
        'header',
        {},
        el('h3', {}, el('button', { type: 'button', class: 'opens', onclick: () => context.open?.(family.name) }, ...breakable(this.name))),
        this.now,
      ),
      el('p', { class: 'help', title: this.help }, ...quoted(this.help)),
      this.facets,
      this.footer,
    );
    this.element.card = this;
  }

  #reveal(count) {
    this.shown = count;
    this.element.classList.toggle('open', count > this.few);
    this.more.setAttribute('aria-expanded', String(count > this.few));
    this.#select();
    this.update();
  }

  /** Chooses the series to show: those that move most or are highest, in the order in which the process lists them. */
  #select() {
    const { history } = this.context;
    const { layout } = history.latest;
    this.#age = 0;
    const all = layout.family(this.name)?.series ?? [];
    const series = this.#filter ? all.filter(this.#filter) : all;
    // Amounts of several currencies have quantiles by themselves only.
    this.isMixed = isMoney(this.context.families.get(this.name), this.shownUnit) && byCurrency(series).size > 1;
    const isWhole = this.kind === 'histogram' && this.shown === this.few && !this.isMixed;
    let chosen = series;
    if (series.length > this.shown) {
      const weights = new Map(series.map((one) => [one, this.#weight(one)]));
      const heaviest = [...series].sort((a, b) => weights.get(b) - weights.get(a));
      const among = new Set(heaviest.slice(0, this.shown));
      chosen = series.filter((one) => among.has(one));
    }
    const varying = varyingKeys(series, this.context.globals, this.labelOrder);
    const wanted = isWhole ? [{ keys: this.#filter ? series.map(({ key }) => key) : null, title: [] }] : [];
    if (!isWhole) {
      for (const one of chosen) wanted.push({ keys: [one.key], title: titleOf(one, varying), labels: one.labels });
    }
    this.#selected = { layout, series };
    this.#arrange(wanted);
    this.#tellCount(series.length, isWhole ? 1 : chosen.length, isWhole);
  }

  #weight(series) {
    const { history } = this.context;
    const { values } = history.latest;
    const index = history.snapshots.length - 1;
    if (this.kind === 'counter') {
      const now = rate(history, index, this.name, [series.key]);
      // Of those that stand still, those that once moved.
      return (now > 0 ? 1e9 * now : 0) + Math.min(values[series.at], 1e6);
    }
    const place = series.at ?? series.count ?? series.parts?.at(-1);
    const weight = Math.abs(values[place]);
    return Number.isNaN(weight) ? -1 : weight;
  }

  #tellCount(of, shown, isWhole) {
    const isAll = shown >= of;
    const by = this.kind === 'counter' ? 'by rate' : 'by value';
    let note = '';
    if (isWhole) note = of > 1 ? `${of} series together` : '';
    else if (!isAll) note = `top ${shown} of ${of.toLocaleString('en-US')} ${by}`;
    else if (of > this.few) note = `${of} series`;
    setText(this.note, note);
    const canSplit = isWhole && of > 1;
    this.more.hidden = !(canSplit || (!isWhole && !isAll));
    setText(this.more, isWhole ? 'Show each' : `Show ${Math.min(of - shown, this.shown === this.few ? MORE - this.few : MORE)} more`);
    this.fewer.hidden = this.shown === this.few;
    this.footer.hidden = note === '' && this.more.hidden && this.fewer.hidden && shown < 2;
  }

  /** Keeps the charts of what is still shown, and makes those of what is new. */
  #arrange(wanted) {
    const known = new Map(this.#facets.map((facet) => [facet.id, facet]));
    this.#facets = wanted.map((want) => {
      const id = want.keys ? want.keys.join('\u0003') : '';
      const old = known.get(id);
      known.delete(id);
      return old ?? this.#facet(id, want);
    });
    for (const facet of known.values()) dispose(facet);
    const isLarge = wanted.length === 1;
    const form = isText(this.unit) ? 'list' : isLarge ? 'one' : wanted.length === 2 ? 'two' : 'many';
    const isLong = ({ element, track }) => track.lines.length > 1 || element.dataset.series.length > LONG;
    const isWide = this.#facets.some(isLong);
    this.facets.className = `facets ${form}${isWide ? ' wide' : ''}`;
    const isOther = this.#facets.filter((facet) => facet.isLarge !== isLarge);
    for (const facet of isOther) this.#prepare(facet, isLarge);
    const elements = this.#facets.map((facet) => facet.element);
    const { children } = this.facets;
    if (children.length !== elements.length || elements.some((element, index) => children[index] !== element)) this.facets.replaceChildren(...elements);
    // Their sizes are known only once they stand in the document.
    for (const facet of isOther) if (facet.plot) this.#draw(facet);
  }

  #facet(id, { keys, title, labels }) {
    const facet = { id, keys, track: this.#track(keys), labels: labels ?? [], isLarge: null };
    facet.value = el('span', { class: 'value' });
    facet.element = el(
      'div',
      { class: 'facet', title: fullTitle(facet.labels, this.context.globals), dataset: { series: title.join(' · ') } },
      el('div', { class: 'caption' }, el('span', { class: 'title' }, ...parts(title)), facet.value),
    );
    return facet;
  }

  /** (Re)makes the places for the charts of a facet, in the size that is wanted now. */
  #prepare(facet, isLarge) {
    facet.chart?.destroy();
    facet.heat?.destroy();
    facet.plot?.remove();
    facet.strip?.remove();
    facet.isLarge = isLarge;
    facet.chart = facet.heat = facet.plot = facet.strip = null;
    if (this.unit === 'info') facet.element.replaceChildren(pairs(facet.labels, this.context.globals));
    if (isText(this.unit)) return;
    facet.plot = el('div', { class: 'plot', role: 'img' });
    facet.element.append(facet.plot);
    const isHistogram = this.kind === 'histogram' && isLarge;
    if (isHistogram) {
      facet.strip = el('div', { class: 'strip' });
      facet.element.append(facet.strip);
      facet.cells = this.#cells(facet.keys);
      facet.heat = new HeatStrip(facet.strip, { unit: this.unit, lowest: this.lowest });
    }
  }

  #draw(facet) {
    facet.chart = new Chart(facet.plot, {
      lines: this.#lines(facet),
      unit: this.shownUnit,
      small: !facet.isLarge,
      stepped: this.unit === '0 or 1',
      more: { currency: labelOf(facet.labels, 'currency') },
    });
  }

  #lines(facet) {
    if (this.kind === 'histogram') {
      return QUANTILES.map((q, index) => ({ name: percentile(q), tone: QUANTILE_TONES[index] }));
    }
    if (this.kind === 'summary') {
      const { bounds } = this.#seriesOf(facet);
      return bounds.map((q, index) => ({
        name: percentile(q),
        tone: QUANTILE_TONES[Math.max(0, QUANTILE_TONES.length - bounds.length + index)],
      }));
    }
    const name = this.kind === 'counter' ? 'rate' : 'value';
    return [{ name, tone: 'accent', area: this.unit !== 'currency' }];
  }

  #seriesOf(facet) {
    return this.context.history.latest.layout.series(this.name, facet.keys[0]) ?? { bounds: [], parts: [] };
  }

  #track(keys) {
    const { name } = this;
    switch (this.kind) {
      case 'histogram':
        return new Track(QUANTILES.length, (history, index) => quantiles(history, index, name, keys));
      case 'summary': {
        const count = this.#seriesOf({ keys }).bounds.length;
        return new Track(count, ({ snapshots }, index) => {
          const { layout, values } = snapshots[index];
          const series = layout.series(name, keys[0]);
          return Array.from({ length: count }, (_, part) => (series ? values[series.parts[part]] : NaN));
        });
      }
      case 'counter':
        return new Track(1, (history, index) => [rate(history, index, name, keys)]);
      default:
        return new Track(1, ({ snapshots }, index) => [total(snapshots[index], name, keys)]);
    }
  }

  /** What fell into each bucket since the snapshot before. */
  #cells(keys) {
    const { name } = this;
    const { bounds } = this.context.history.latest.layout.family(name).series[0];
    const track = new Track(bounds.length, ({ snapshots }, index) => {
      const [from, to] = [snapshots[index - 1], snapshots[index]];
      if (!from || from.run !== to.run) return bounds.map(() => NaN);
      const { counts } = bucketIncreases(from, to, name, keys);
      return counts.map((count, part) => count - (part ? counts[part - 1] : 0));
    });
    return { track, bounds };
  }

  #show(facet) {
    const { history } = this.context;
    const { now, times } = facet.track;
    const more = { currency: labelOf(facet.labels, 'currency'), scale: this.#range?.scale };
    const texts = now.map((value) => format(this.#exact(facet, value), this.shownUnit, more));
    if (this.unit === 'timestamp') setText(facet.value, momentAndAge(now[0] ?? NaN, history.latest.at));
    else if (facet.track.lines.length === 1) setText(facet.value, texts[0]);
    else showQuantiles(facet.value, this.#lines(facet), texts);
    facet.value.classList.toggle('undefined', now.every((value) => value === null || Number.isNaN(value)));
    this.#tellGone(facet);
    facet.element.dataset.points = String(times.length);
    facet.element.dataset.at = String(times.at(-1));
    facet.element.dataset.values = JSON.stringify(now);
    facet.chart?.draw(facet.track, this.#range);
    facet.plot?.setAttribute('aria-label', `${this.name} ${facet.element.dataset.series} ${texts.join(' ')}`);
    if (facet.heat) {
      facet.cells.track.extend(history);
      facet.heat.draw(facet.cells.track, facet.cells.bounds);
    }
  }

  /** What is shown of a dead process is not now. */
  #tellGone({ element, labels }) {
    const state = this.context.gone?.get(labelOf(labels, PROCESS));
    element.classList.toggle('gone', Boolean(state));
    // Facts have no caption.
    setEnded(element.querySelector('.caption') ?? element, state ?? '');
  }

  /** A gauge's latest value as it was read; its track has nothing but numbers that can be drawn. */
  #exact(facet, value) {
    if (this.kind !== 'gauge' && this.kind !== 'untyped') return value;
    return total(this.context.history.latest, this.name, facet.keys);
  }

  /** The one currency of all that is shown. */
  get #currency() {
    const found = new Set(this.#facets.map(({ labels }) => labelOf(labels, 'currency')));
    return found.size === 1 ? [...found][0] : undefined;
  }

  /** Small charts have no axis, but all have the same. */
  #tellScale() {
    const { min, max, scale, isEmpty } = this.#range;
    const isSmall = this.#facets.length > 1 && !isEmpty && !isText(this.unit) && this.unit !== '0 or 1';
    const more = { currency: this.#currency, scale };
    this.#tellLines(isSmall);
    setText(this.scale, isSmall ? formatTicks([min, max], this.shownUnit, more).join(' to ') : '');
  }

  /** In small charts there is no room to name each line; it is named once for all of them. */
  #tellLines(isSmall) {
    const lines = isSmall ? this.#lines(this.#facets[0]) : [];
    const named = lines.length > 1 ? lines : [];
    const text = named.map(({ name }) => name).join(' ');
    if (this.legend.textContent.trim() === text) return;
    this.legend.replaceChildren(...named.flatMap(({ name, tone }) => [el('span', { class: `swatch ${tone}` }), ` ${name} `]));
  }

  /** What stands beside the name: everything together, where that means something. */
  #sum() {
    const { history } = this.context;
    if (this.kind !== 'counter') {
      const [facet] = this.#facets;
      const isOne = this.#facets.length === 1 && facet.track.lines.length === 1 && !isText(this.unit);
      setText(this.now, isOne ? facet.value.textContent : '');
      return;
    }
    const keys = this.#filter ? this.#selected.series.map(({ key }) => key) : null;
    const parts = this.isMixed ? [...amounts(this.#selected.series, history.latest)] : [];
    const sums = parts.length ? parts.map(([currency, some]) => [some.map(({ key }) => key), { currency }]) : [[keys, { scale: this.#range?.scale }]];
    const told = (value, unit) => sums.map(([some, { currency, scale }]) => amountText(value(some), unit, currency, { scale })).join(' · ');
    setText(this.now, told((some) => rate(history, history.snapshots.length - 1, this.name, some), this.shownUnit));
    const counted = (some) => total(history.latest, this.name, some);
    this.now.dataset.total = String(counted(keys));
    this.now.title = `${told(counted, this.unit)} since the process started`;
  }

  #clear() {
    for (const facet of this.#facets) dispose(facet);
    this.#facets = [];
    this.facets.replaceChildren();
  }
}

function dispose(facet) {
  facet.chart?.destroy();
  facet.heat?.destroy();
  facet.plot = null;
  facet.element.remove();
}

/** Quantiles side by side, each under its line's colour. */
function showQuantiles(element, lines, texts) {
  if (element.childElementCount !== lines.length) {
    element.replaceChildren(
      ...lines.map(({ name, tone }) =>
        el('span', { class: 'quantile' }, el('span', { class: `swatch ${tone}` }), el('span', { class: 'q' }, name), el('b')),
      ),
    );
  }
  texts.forEach((text, index) => setText(element.children[index].lastChild, text));
}

/** Whether a value is written, not drawn: a point in time, or nothing but labels. */
function isText(unit) {
  return unit === 'timestamp' || unit === 'info';
}

/** The keys by which series differ, in the order of declaration. */
function varyingKeys(series, globals, order) {
  const first = new Map(series[0]?.labels);
  const keys = new Set();
  for (const { labels } of series) {
    for (const [name, value] of labels) {
      if (!globals.has(name) && (series.length === 1 || first.get(name) !== value)) keys.add(name);
    }
  }
  const place = (key) => (order.includes(key) ? order.indexOf(key) : order.length);
  return [...keys].sort((a, b) => place(a) - place(b));
}

function titleOf(series, keys) {
  return keys.map((key) => labelOf(series.labels, key)).filter((value) => value !== undefined).map((value) => value || '""');
}

/** The parts of a title. Where there is no room, the long ones become shorter. */
function parts(title) {
  return title.flatMap((part, index) => {
    const element = el('span', { class: part.length > 7 ? 'part long' : 'part' }, part);
    return index ? [el('span', { class: 'between' }, '·'), element] : [element];
  });
}

/** Labels one beneath the other, where they are all there is to tell. */
function pairs(labels, globals) {
  const own = labels.filter(([name]) => !globals.has(name));
  return el('dl', { class: 'pairs' }, ...own.map(([name, value]) => el('div', {}, el('dt', {}, name), el('dd', {}, value))));
}

/** Text in which what stands between backticks is code. */
function quoted(text) {
  return text.split('`').map((part, index) => (index % 2 ? el('code', {}, part) : part));
}

function fullTitle(labels, globals) {
  const own = labels.filter(([name]) => !globals.has(name));
  return own.map(([name, value]) => `${name}=${JSON.stringify(value)}`).join('  ');
}
