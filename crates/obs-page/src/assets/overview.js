// The first screen: whether all is well, by the figures that the families' declarations name.

import { Chart, figuresView, rangeOf } from './chart.js';
import { DAY, idOf } from './memory.js';
import { Events, Log, ROWS, designsOf, increasesBy } from './figures.js';
import { el, setText } from './dom.js';
import { later } from './slices.js';
import { clock } from './format.js';
import { PROCESS } from './processes.js';
import { Track } from './statistics.js';

/** What a loss, neither and a gain are called in the style sheet. */
const GAINS = ['loss', '', 'gain'];

class Tile {
  #range = null;
  #facts = [];

  /**
   * @param {import('./figures.js').Design} design
   * @param {import('./card.js').Context & {memory: import('./memory.js').Memory}} context
   */
  constructor(design, context) {
    const { history, memory, open } = context;
    this.context = context;
    this.design = design;
    this.history = history;
    this.memory = memory.get(idOf(design.title, design.needs));
    this.#track();
    this.events = design.events ? new Events(design.events) : null;
    this.marks = design.marks ? new Marks(design.marks) : null;
    this.log = design.log ? new Log(design.log) : null;
    this.figure = el('span', { class: 'figure' });
    this.facts = el('dl', { class: 'facts' });
    this.body = this.track ? el('div', { class: 'plot', role: 'img' }) : rowsOf(design);
    this.filled = design.share ? el('span') : null;
    this.element = el(
      'article',
      { class: `tile ${formOf(design)}`, dataset: { tile: design.needs } },
      el('h3', {}, el('button', { type: 'button', class: 'opens', onclick: () => open?.(design.needs) }, design.title)),
      hasMain(design) ? this.#main() : null,
      hasMain(design) ? this.facts : null,
      this.body,
    );
    if (this.lower) {
      this.under = el('div', { class: 'plot under', role: 'img' });
      this.element.append(this.under);
    }
  }

  #track() {
    const { design } = this;
    this.track = design.lines.length ? new Track(design.lines.length, design.values, DAY) : null;
    this.lower = design.below ? new Track(1, design.below.values, DAY) : null;
    if (this.memory && this.track) this.#remember(this.memory);
  }

  /** A curve's lines are drawn in two charts. */
  #remember({ times, lines }) {
    const own = this.lower ? lines.slice(0, 1) : lines;
    this.track.remember({ times, lines: own });
    if (this.lower && lines.length === 2) this.lower.remember({ times, lines: lines.slice(1) });
  }

  #main() {
    const { suffix } = this.design;
    return el(
      'p',
      { class: 'main' },
      this.figure,
      suffix ? el('span', { class: 'suffix' }, el('span', { class: 'swatch' }), suffix) : null,
      this.filled ? el('span', { class: 'filled', 'aria-hidden': 'true' }, this.filled) : null,
    );
  }

  draw() {
    const { lines, unit } = this.design;
    this.currency = this.design.currency(this.history);
    const more = { currency: this.currency };
    if (this.track) this.chart = new Chart(this.body, { lines, unit, more, marks: this.marks?.kinds, seen: figuresView });
    if (this.lower) {
      const line = { name: 'below', tone: 'bad', area: true };
      this.lowerChart = new Chart(this.under, { lines: [line], unit: this.design.below.unit, more, seen: figuresView });
    }
    this.update();
  }

  update() {
    if (this.design.currency(this.history) !== this.currency) {
      this.#beginAnew();
      return;
    }
    const { design, history, track } = this;
    track?.extend(history);
    const now = track?.now ?? [];
    if (track) this.#range = rangeOf([track], design.unit, this.#range, design.isFromZero, { currency: this.currency }, figuresView);
    setText(this.figure, design.main(history, now, this.#range?.scale));
    this.element.classList.toggle('bad', design.isBad(history));
    this.element.dataset.gain = design.gain ? GAINS[1 + Math.sign(design.gain(history))] ?? '' : '';
    if (!this.lower) this.#tell(design.facts(history, now, this.#range?.scale));
    if (design.share) this.#fill(design.share(history));
    if (design.table) this.#tabulate(design.table(history));
    if (this.log) this.#list();
    if (design.bars) this.#bars(design.bars(history));
    if (design.steps) this.#steps(design.steps(history));
    if (design.parts) this.#parts(design.parts(history));
    if (this.events) this.#listEvents();
    if (track) this.#chart(track, now);
    if (this.lower) this.#below();
  }

  /** Amounts of another currency than until now are no continuation of its line. */
  #beginAnew() {
    this.destroy();
    this.memory = null;
    this.#range = this.lowerRange = null;
    this.#track();
    this.draw();
  }

  /** What is said in the window's title, where this tile is to be there. */
  get headline() {
    return this.design.isHeadline ? this.figure.textContent : null;
  }

  get isBad() {
    return this.element.classList.contains('bad');
  }

  restyle() {
    this.chart?.restyle();
    this.lowerChart?.restyle();
  }

  destroy() {
    this.chart?.destroy();
    this.lowerChart?.destroy();
  }

  #below() {
    const { design, history, lower } = this;
    this.marks.extend(history);
    lower.extend(history);
    this.lowerRange = rangeOf([lower], design.below.unit, this.lowerRange ?? null, true, { currency: this.currency }, figuresView);
    this.lowerChart.draw(lower, this.lowerRange);
    this.under.setAttribute('aria-label', design.below.text(history));
    this.under.dataset.values = JSON.stringify(lower.now);
    const counts = this.marks.kinds.map(({ name, times, tone }) => [name, String(times.filter((at) => at >= figuresView.from && at <= figuresView.to).length), tone]);
    this.#tell([['below', design.below.text(history), 'bad'], ...counts.map(([name, count, tone]) => [`seconds with ${name}`, count, tone])]);
  }

  /** Rows stay, their texts change. */
  #rows(rows, make, change) {
    if (this.shown !== rows.length) {
      this.shown = rows.length;
      this.body.replaceChildren(...rows.map(make));
    }
    rows.forEach((row, index) => change(this.body.children[index], row));
  }

  #bars(bars) {
    const make = () => el('p', { class: 'bar-row' }, el('span'), el('b'), el('span', { class: 'filled', 'aria-hidden': 'true' }, el('span')));
    this.#rows(bars, make, (line, { name, text, share, isBad, isApart, isGone }) => {
      setText(line.children[0], name);
      setText(line.children[1], text);
      line.classList.toggle('bad', isBad);
      line.classList.toggle('apart', isApart);
      line.classList.toggle('gone', isGone);
      line.lastChild.firstChild.style.width = `${Number.isFinite(share) ? Math.min(Math.max(share, 0), 1) * 100 : 0}%`;
    });
    if (bars.some(({ isBad }) => isBad)) this.element.classList.add('bad');
  }

  #steps(steps) {
    const longest = Math.max(...steps.map(({ values }) => values[1]).filter(Number.isFinite), 0);
    const make = () => el('p', { class: 'bar-row step' }, el('span'), el('b'), el('span', { class: 'filled', 'aria-hidden': 'true' }, el('span')));
    this.#rows(steps, make, (line, { name, values, texts }) => {
      setText(line.children[0], name);
      setText(line.children[1], `p50 ${texts[0]}  p99 ${texts[1]}`);
      line.lastChild.firstChild.style.width = `${longest > 0 && Number.isFinite(values[1]) ? (values[1] / longest) * 100 : 0}%`;
    });
  }

  #parts(parts) {
    const largest = Math.max(...parts.map(({ value }) => Math.abs(value)).filter(Number.isFinite), 0);
    const make = () => el('p', { class: 'bar-row' }, el('span'), el('b'), el('span', { class: 'filled signed', 'aria-hidden': 'true' }, el('span')));
    this.#rows(parts, make, (line, { name, value, text }) => {
      setText(line.children[0], name.replaceAll('_', ' '));
      setText(line.children[1], text);
      line.dataset.gain = GAINS[1 + Math.sign(value)] ?? '';
      const share = largest > 0 && Number.isFinite(value) ? (Math.abs(value) / largest) * 50 : 0;
      Object.assign(line.lastChild.firstChild.style, { width: `${share}%`, marginLeft: `${value < 0 ? 50 - share : 50}%` });
    });
  }

  #listEvents() {
    this.events.extend(this.history);
    const entries = this.events.entries.slice(0, ROWS);
    const items = entries.map(({ from, to, name, what, count }) =>
      el('li', {}, el('time', {}, stretchOf(from, to)), el('span', {}, `${name} ${count > 1 ? `×${count} ` : ''}${what}`)),
    );
    const text = JSON.stringify(entries);
    if (this.told !== text) this.body.replaceChildren(items.length ? el('ol', {}, ...items) : el('p', { class: 'more' }, 'None in the last quarter of an hour'));
    this.told = text;
  }

  #chart(track, now) {
    this.body.dataset.why = this.design.why(this.history);
    this.chart.draw(track, this.#range);
    this.element.dataset.points = String(track.times.length);
    this.element.dataset.values = JSON.stringify(now);
    this.body.setAttribute('aria-label', `${this.design.title}: ${this.figure.textContent}`);
  }

  #fill(share) {
    const percent = Number.isFinite(share) ? Math.min(Math.max(share, 0), 1) * 100 : 0;
    this.filled.style.width = `${percent}%`;
  }

  /** Cells stay, their texts change. */
  #tabulate({ heads, rows, more }) {
    const table = this.body.querySelector('table');
    if (!table || table.rows.length !== rows.length + 1) {
      const head = el('tr', {}, ...heads.map((text) => el('th', { scope: 'col' }, text)));
      const lines = rows.map((row) => el('tr', {}, ...row.map((_, index) => el(index ? 'td' : 'th', index ? {} : { scope: 'row' }))));
      this.rest = el('p', { class: 'more' });
      this.body.replaceChildren(el('table', {}, el('thead', {}, head), el('tbody', {}, ...lines)), this.rest);
    }
    const cells = [...this.body.querySelectorAll('tbody tr')].map((line) => [...line.children]);
    rows.forEach((row, line) => row.forEach((text, column) => setText(cells[line][column], text)));
    const isGone = ([name]) => this.design.by === PROCESS && Boolean(this.context.gone?.has(name));
    rows.forEach((row, line) => cells[line][0].parentElement.classList.toggle('gone', isGone(row)));
    setText(this.rest, more ? `and ${more} more` : '');
  }

  #list() {
    this.log.extend(this.history);
    const { entries } = this.log;
    const items = entries.map(({ at, what, count }) =>
      el('li', {}, el('time', {}, clock(at)), el('span', {}, what), el('b', {}, `+${count}`)),
    );
    const none = el('p', { class: 'more' }, 'None since this page was opened');
    const text = entries.map(({ at, what, count }) => `${at} ${what} ${count}`).join('\n');
    if (this.told !== text) this.body.replaceChildren(items.length ? el('ol', {}, ...items) : none);
    this.told = text;
  }

  /** Names stay, figures change. */
  #tell(facts) {
    if (this.#facts.length !== facts.length) {
      this.#facts = facts.map(([name, , tone]) => ({
        value: el('dd'),
        name: el('dt', {}, tone ? el('span', { class: `swatch ${tone}` }) : null, name),
      }));
      this.facts.replaceChildren(...this.#facts.map(({ name, value }) => el('div', {}, name, value)));
    }
    facts.forEach(([, text], index) => setText(this.#facts[index].value, text));
  }
}

/** How many marks of a kind are kept. */
const MOST_MARKS = 2000;
const MARK_TONES = ['good', 'warn', 'muted', 'strong'];

/** When counters rose, to be marked on a chart. */
class Marks {
  #known = -Infinity;

  /** @param {{name: string, family: string}[]} kinds */
  constructor(kinds) {
    this.kinds = kinds.map((kind, index) => ({ ...kind, tone: MARK_TONES[index % MARK_TONES.length], times: [] }));
  }

  extend({ snapshots }) {
    let index = snapshots.length;
    while (index > 1 && snapshots[index - 1].at > this.#known) index -= 1;
    for (; index < snapshots.length; index += 1) {
      const [from, to] = [snapshots[index - 1], snapshots[index]];
      if (!from || from.run !== to.run || to.at <= this.#known) continue;
      for (const kind of this.kinds) {
        if (increasesBy(from, to, kind.family, null).size) kind.times.push(to.at);
        if (kind.times.length > MOST_MARKS) kind.times.splice(0, MOST_MARKS / 2);
      }
    }
    this.#known = snapshots.at(-1)?.at ?? this.#known;
  }
}

/** Where rows go; those that may be more than there is room for can be scrolled by keyboard too. */
function rowsOf({ bars, parts, table, title }) {
  return el('div', { class: 'rows', ...((bars || parts || table) && { tabindex: '0', role: 'group', 'aria-label': title }) });
}

/** A table of more columns takes two places. */
const FEW_COLUMNS = 3;

/** What a tile is called in the style sheet. */
function formOf({ table, columns, below, bars, steps, parts, events }) {
  if (below) return 'wide';
  if (parts) return 'parted';
  if (columns > FEW_COLUMNS) return 'tabular broad';
  return table || bars || steps || events ? 'tabular' : '';
}

/** Whether it has one large figure. */
function hasMain({ table, bars, steps, events }) {
  return !table && !bars && !steps && !events;
}

/** A moment, or from when to when: hours and minutes are said once. */
function stretchOf(from, to) {
  const [begin, end] = [clock(from), clock(to)];
  if (begin === end) return begin;
  return `${begin}–${begin.slice(0, 6) === end.slice(0, 6) ? end.slice(6) : end}`;
}

/** The tiles for which there are metrics. */
export class Overview {
  #tiles = [];
  /** Those of them that have no charts yet. */
  #coming = [];
  #layout = null;
  #groups = null;
  #ids = '';
  #drawNext = () => {
    this.#coming.shift()?.draw();
    return this.#coming.length > 0;
  };

  /**
   * @param {HTMLElement} host
   * @param {import('./figures.js').Context & {history: import('./history.js').History}} context
   */
  constructor(host, context) {
    this.host = host;
    this.context = context;
  }

  update() {
    const { layout } = this.context.history.latest;
    if (layout !== this.#layout || this.context.groups !== this.#groups) this.#arrange(layout);
    for (const tile of this.#tiles) if (!this.#coming.includes(tile)) tile.update();
  }

  restyle() {
    for (const tile of this.#tiles) tile.restyle();
  }

  /** Whether there are tiles that show nothing yet, but will soon. */
  get isComing() {
    return this.#coming.length > 0;
  }

  /** What is to be seen of it while another window is looked at: a figure, or none. */
  get headline() {
    return this.#tiles.map((tile) => tile.headline).find((text) => text) ?? null;
  }

  /** Whether somebody should look. */
  get isBad() {
    return this.#tiles.some((tile) => tile.isBad);
  }

  #arrange(layout) {
    const designs = designsOf(this.context, layout);
    const ids = designs.map(({ id, needs }) => `${id}\n${needs}`).join('\n');
    const isOther = ids !== this.#ids || this.context.groups !== this.#groups;
    this.#layout = layout;
    this.#groups = this.context.groups;
    this.#ids = ids;
    if (isOther) this.#make(designs);
  }

  #make(designs) {
    for (const tile of this.#tiles) tile.destroy();
    this.#tiles = designs.map((design) => new Tile(design, this.context));
    this.host.replaceChildren(...this.#tiles.map(({ element }) => element));
    this.host.parentElement.hidden = designs.length === 0;
    this.#coming = [...this.#tiles];
    later(this.#drawNext);
  }
}
