// The first screen: whether all is well, by the figures that the families' declarations name.

import { Chart, rangeOf } from './chart.js';
import { Log, designsOf } from './figures.js';
import { el, setText } from './dom.js';
import { clock } from './format.js';
import { Track } from './statistics.js';

/** What a loss, neither and a gain are called in the style sheet. */
const GAINS = ['loss', '', 'gain'];

class Tile {
  #range = null;
  #facts = [];

  /**
   * @param {import('./figures.js').Design} design
   * @param {import('./history.js').History} history
   */
  constructor(design, history) {
    this.design = design;
    this.history = history;
    this.track = design.lines.length ? new Track(design.lines.length, design.values) : null;
    this.log = design.log ? new Log(design.log) : null;
    this.figure = el('span', { class: 'figure' });
    this.facts = el('dl', { class: 'facts' });
    this.body = this.track ? el('div', { class: 'plot', role: 'img' }) : el('div', { class: 'rows' });
    this.filled = design.share ? el('span') : null;
    this.element = el(
      'article',
      { class: design.table ? 'tile tabular' : 'tile', dataset: { tile: design.needs } },
      el('h3', {}, design.title),
      design.table ? null : this.#main(),
      design.table ? null : this.facts,
      this.body,
    );
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
    if (this.track) this.chart = new Chart(this.body, { lines, unit, more: { currency: this.design.currency(this.history) } });
    this.update();
  }

  update() {
    const { design, history, track } = this;
    track?.extend(history);
    const now = track?.now ?? [];
    if (track) this.#range = rangeOf([track], design.unit, this.#range, design.isFromZero, { currency: design.currency(history) });
    setText(this.figure, design.main(history, now, this.#range?.scale));
    this.element.classList.toggle('bad', design.isBad(history));
    this.element.dataset.gain = design.gain ? GAINS[1 + Math.sign(design.gain(history))] ?? '' : '';
    this.#tell(design.facts(history, now, this.#range?.scale));
    if (design.share) this.#fill(design.share(history));
    if (design.table) this.#tabulate(design.table(history));
    if (this.log) this.#list();
    if (track) this.#chart(track, now);
  }

  destroy() {
    this.chart?.destroy();
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

/** The tiles for which there are metrics. */
export class Overview {
  #tiles = [];
  #layout = null;
  #groups = null;
  #ids = '';

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
    for (const tile of this.#tiles) tile.update();
  }

  restyle() {
    for (const tile of this.#tiles) tile.chart?.restyle();
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
    this.#tiles = designs.map((design) => new Tile(design, this.context.history));
    this.host.replaceChildren(...this.#tiles.map(({ element }) => element));
    this.host.parentElement.hidden = designs.length === 0;
    for (const tile of this.#tiles) tile.draw();
  }
}
