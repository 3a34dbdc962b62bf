// The first screen: whether all is well, from the metrics that every trading desk has, or else from what any process has.

import { Chart, rangeOf } from './chart.js';
import { el, setText } from './dom.js';
import { format, rateOf, span } from './format.js';
import { labelOf, percentile } from './card.js';
import { QUANTILES, Track, quantiles, rate, total } from './statistics.js';

/** How many tiles fit on a first screen. */
const MOST = 12;

/**
 * A tile: what it needs, and what it shows of it.
 * @typedef {Object} Design
 * @property {string} title
 * @property {string} needs a family; without it there is no tile
 * @property {string} unit of the lines
 * @property {{name: string, tone: string, area?: boolean}[]} [lines]
 * @property {(history: import('./history.js').History, index: number) => number[]} values of the lines
 * @property {(now: number[], look: Look) => string} [main] the large figure; the first line's value unless told
 * @property {(now: number[], look: Look) => string|null} [tone] `bad` where somebody should look
 * @property {(look: Look, now: number[]) => [string, string, string?][]} facts smaller figures: name, text, colour of a line
 * @property {boolean} [fromZero]
 */

/** Looks at the latest snapshot. */
class Look {
  constructor(snapshot) {
    this.snapshot = snapshot;
  }

  has(name) {
    return Boolean(this.snapshot.layout.family(name)?.series.length);
  }

  /** The sum over the series with these labels. */
  sum(name, labels = {}) {
    const keys = keysOf(this.snapshot.layout, name, labels);
    return keys.length ? total(this.snapshot, name, keys) : NaN;
  }

  /** The label's value of the series with the least or the highest value. */
  extreme(name, label, isBetter) {
    let found = null;
    for (const { at, labels } of this.snapshot.layout.family(name)?.series ?? []) {
      const value = this.snapshot.values[at];
      if (!Number.isNaN(value) && (!found || isBetter(value, found.value))) found = { value, label: labelOf(labels, label) };
    }
    return found;
  }

  currency(name) {
    const series = this.snapshot.layout.family(name)?.series ?? [];
    const found = new Set(series.map(({ labels }) => labelOf(labels, 'currency')));
    return found.size === 1 ? [...found][0] : undefined;
  }
}

function keysOf(layout, name, labels) {
  const wanted = Object.entries(labels);
  const series = layout.family(name)?.series ?? [];
  return series.filter((one) => wanted.every(([key, value]) => labelOf(one.labels, key) === value)).map(({ key }) => key);
}

const isLess = (a, b) => a < b;
const isMore = (a, b) => a > b;

const line = (name, tone = 'accent') => [{ name, tone, area: true }];

function gauge(name, labels = {}) {
  return ({ snapshots }, index) => {
    const snapshot = snapshots[index];
    return [new Look(snapshot).sum(name, labels)];
  };
}

function least(name) {
  return ({ snapshots }, index) => [new Look(snapshots[index]).extreme(name, '', isLess)?.value ?? NaN];
}

function rates(...names) {
  return (history, index) => {
    const found = names.filter((name) => history.snapshots[index].layout.family(name));
    return [found.reduce((sum, name) => sum + rate(history, index, name, null), found.length ? 0 : NaN)];
  };
}

const count = (value) => format(value, 'count');

function signed(value, currency) {
  const text = format(value, 'currency', { currency });
  return value > 0 ? `+${text}` : text;
}

/** A tile of quantiles over all series of a histogram. */
function latency(title, name) {
  const tones = ['soft', 'accent', 'strong'];
  const lines = QUANTILES.map((q, index) => ({ name: percentile(q), tone: tones[index] }));
  return {
    title,
    needs: name,
    unit: 'seconds',
    lines,
    values: (history, index) => quantiles(history, index, name, null),
    main: (now) => format(now[1], 'seconds'),
    suffix: 'p95',
    facts: (look, now) => [0, 2].map((index) => [lines[index].name, format(now[index], 'seconds'), lines[index].tone]),
  };
}

/** @type {Design[]} */
const DESIGNS = [
  {
    title: 'Portfolio value',
    needs: 'portfolio_value',
    unit: 'currency',
    // No area: it would not begin at 0.
    lines: [{ name: 'value', tone: 'accent' }],
    values: gauge('portfolio_value'),
    facts: (look) =>
      ['day', 'month'].map((period) => [period, signed(look.sum('portfolio_value_change', { period }), look.currency('portfolio_value'))]),
  },
  {
    title: 'Realised profit and loss',
    needs: 'portfolio_pnl',
    unit: 'currency',
    fromZero: true,
    values: gauge('portfolio_pnl', { period: 'total' }),
    main: ([now], look) => signed(now, look.currency('portfolio_pnl')),
    facts: (look) =>
      ['day', 'month'].map((period) => [period, signed(look.sum('portfolio_pnl', { period }), look.currency('portfolio_pnl'))]),
  },
  {
    title: 'Drawdown',
    needs: 'portfolio_drawdown_ratio',
    unit: 'ratio',
    fromZero: true,
    values: least('portfolio_drawdown_ratio'),
    facts: (look) => [
      ['deepest', format(look.extreme('portfolio_max_drawdown_ratio', '', isLess)?.value, 'ratio')],
      ['open for', duration(look.extreme('portfolio_drawdown_age_seconds', '', isMore)?.value)],
    ],
  },
  {
    title: 'Risk headroom',
    needs: 'risk_limit_headroom_ratio',
    unit: 'ratio',
    fromZero: true,
    values: least('risk_limit_headroom_ratio'),
    tone: ([now]) => (now <= 0 ? 'bad' : null),
    facts: (look) => [
      ['tightest', words(look.extreme('risk_limit_headroom_ratio', 'limit', isLess)?.label)],
      ['hits', count(look.sum('risk_limit_hits_total'))],
    ],
  },
  {
    title: 'Orders',
    needs: 'trading_orders_total',
    unit: rateOf('count'),
    fromZero: true,
    values: rates('trading_orders_total'),
    facts: (look) => [
      ['filled', count(look.sum('trading_orders_closed_total', { outcome: 'filled' }))],
      ['cancelled', count(look.sum('trading_orders_closed_total', { outcome: 'cancelled' }))],
      ['open', count(look.sum('trading_orders_open'))],
    ],
  },
  {
    title: 'Rejections',
    needs: 'trading_orders_rejected_total',
    unit: rateOf('count'),
    fromZero: true,
    lines: line('rejections', 'bad'),
    values: rates('trading_trades_rejected_total', 'trading_orders_rejected_total'),
    facts: (look) => [
      ['by risk checks', count(look.sum('trading_trades_rejected_total'))],
      ['by venues', count(look.sum('trading_orders_rejected_total'))],
    ],
  },
  { ...latency('Signal to execution', 'trading_execution_duration_seconds'), fromZero: true },
  {
    title: 'Errors',
    needs: 'errors_total',
    unit: rateOf('count'),
    fromZero: true,
    lines: line('errors', 'bad'),
    values: rates('errors_total', 'panics_total'),
    tone: (_, look) => (look.sum('errors_total', { severity: 'critical' }) > 0 || look.sum('panics_total') > 0 ? 'bad' : null),
    facts: (look) => [
      ['critical', count(look.sum('errors_total', { severity: 'critical' }))],
      ['error', count(look.sum('errors_total', { severity: 'error' }))],
      ['warning', count(look.sum('errors_total', { severity: 'warning' }))],
    ],
  },
  {
    title: 'API requests',
    needs: 'http_requests_total',
    unit: rateOf('count'),
    fromZero: true,
    values: rates('http_requests_total'),
    facts: (look) => [
      ['in flight', count(look.sum('http_requests_in_flight'))],
      ['refused', count(look.sum('http_errors_total', { error_type: 'client_error' }))],
      ['failed', count(look.sum('http_errors_total', { error_type: 'server_error' }))],
    ],
  },
  { ...latency('API latency', 'http_request_duration_seconds'), fromZero: true },
  {
    title: 'Data providers',
    needs: 'provider_up',
    unit: rateOf('count'),
    lines: line('requests'),
    fromZero: true,
    values: rates('provider_requests_total'),
    main: (_, look) => {
      const series = look.snapshot.layout.family('provider_up')?.series ?? [];
      return `${look.sum('provider_up')} of ${series.length} up`;
    },
    tone: (_, look) => (look.extreme('provider_up', '', isLess)?.value === 0 ? 'bad' : null),
    facts: (look, now) => [
      ['requests', format(now[0], rateOf('count'))],
      ['errors', count(look.sum('provider_errors_total'))],
    ],
  },
  {
    title: 'Processor',
    needs: 'process_cpu_seconds_total',
    unit: 'ratio',
    lines: line('of one processor'),
    fromZero: true,
    values: rates('process_cpu_seconds_total'),
    facts: (look) => [
      ['memory', format(look.sum('process_resident_memory_bytes'), 'bytes')],
      ['threads', count(look.sum('process_threads'))],
    ],
  },
  {
    title: 'Memory',
    needs: 'process_resident_memory_bytes',
    unit: 'bytes',
    fromZero: true,
    values: gauge('process_resident_memory_bytes'),
    facts: (look) => [['virtual', format(look.sum('process_virtual_memory_bytes'), 'bytes')]],
  },
  {
    title: 'File descriptors',
    needs: 'process_open_fds',
    unit: 'count',
    fromZero: true,
    values: gauge('process_open_fds'),
    facts: (look) => [['at most', count(look.sum('process_max_fds'))]],
  },
  {
    title: 'Scrape',
    needs: 'obs_scrape_duration_seconds',
    unit: 'seconds',
    fromZero: true,
    values: gauge('obs_scrape_duration_seconds'),
    facts: (look) => [['size', format(look.sum('obs_scrape_size_bytes'), 'bytes')]],
  },
];

function duration(seconds) {
  return seconds === undefined || Number.isNaN(seconds) ? '–' : span(seconds);
}

function words(text) {
  return text === undefined ? '–' : text.replaceAll('_', ' ');
}

class Tile {
  #range = null;
  #facts = [];

  constructor(design, history) {
    this.design = design;
    this.lines = design.lines ?? line(design.title.toLowerCase());
    this.track = new Track(this.lines.length, design.values);
    this.figure = el('span', { class: 'figure' });
    this.facts = el('dl', { class: 'facts' });
    this.plot = el('div', { class: 'plot', role: 'img' });
    this.element = el(
      'article',
      { class: 'tile', dataset: { tile: design.needs } },
      el('h3', {}, design.title),
      el('p', { class: 'main' }, this.figure, design.suffix ? el('span', { class: 'suffix' }, el('span', { class: 'swatch' }), design.suffix) : null),
      this.facts,
      this.plot,
    );
    this.history = history;
  }

  draw() {
    const look = new Look(this.history.latest);
    const more = { currency: look.currency(this.design.needs) };
    this.chart = new Chart(this.plot, { lines: this.lines, unit: this.design.unit, more });
    this.update();
  }

  update() {
    const { design, track } = this;
    track.extend(this.history);
    const look = new Look(this.history.latest);
    const { now } = track;
    const more = { currency: look.currency(design.needs) };
    setText(this.figure, design.main ? design.main(now, look) : format(now[0], design.unit, more));
    this.element.classList.toggle('bad', design.tone?.(now, look) === 'bad');
    this.#tell(design.facts(look, now));
    this.#range = rangeOf([track], design.unit, this.#range, design.fromZero ?? false);
    this.chart.draw(track, this.#range);
    this.element.dataset.points = String(track.times.length);
    this.element.dataset.values = JSON.stringify(now);
    this.plot.setAttribute('aria-label', `${design.title}: ${this.figure.textContent}`);
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
  #titles = '';

  /**
   * @param {HTMLElement} host
   * @param {import('./history.js').History} history
   */
  constructor(host, history) {
    this.host = host;
    this.history = history;
  }

  update() {
    const look = new Look(this.history.latest);
    const designs = DESIGNS.filter(({ needs }) => look.has(needs)).slice(0, MOST);
    const titles = designs.map(({ title }) => title).join();
    if (titles !== this.#titles) this.#make(designs);
    else for (const tile of this.#tiles) tile.update();
    this.#titles = titles;
  }

  restyle() {
    for (const tile of this.#tiles) tile.chart.restyle();
  }

  #make(designs) {
    for (const tile of this.#tiles) tile.chart.destroy();
    this.#tiles = designs.map((design) => new Tile(design, this.history));
    this.host.replaceChildren(...this.#tiles.map(({ element }) => element));
    this.host.parentElement.hidden = designs.length === 0;
    for (const tile of this.#tiles) tile.draw();
  }
}
