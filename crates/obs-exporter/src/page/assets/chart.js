// Charts: lines by uPlot, and strips of heat for histograms. All show the same stretch of time, which ends now.

import { clock, format, formatBound, formatTicks, stepOf } from './format.js';
import { el } from './dom.js';

/** What every chart shows: from when to when, in seconds since 1970, and where the process was seen to start anew. */
export const view = { from: 0, to: 1, restarts: [] };

/** Where the plotting area begins and ends beside its axis, in pixels; the same everywhere, so that charts align. */
const LEFT = 58;
const RIGHT = 14;

const FONT = "11px Inter, 'Segoe UI', Roboto, 'Helvetica Neue', 'Liberation Sans', Arial, system-ui, sans-serif";

let colours = null;

/** The colours of the style sheet, as it is now: light or dark. */
export function palette() {
  if (!colours) {
    const style = getComputedStyle(document.documentElement);
    const names = ['accent', 'strong', 'soft', 'bad', 'warn', 'muted', 'grid', 'area', 'bad-area'];
    colours = Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
  }
  return colours;
}

/** Has the colours read again. */
export function forgetPalette() {
  colours = null;
}

/**
 * The range of an axis over what the tracks have in view: it begins and ends on a mark, and stays what it was as long as that
 * fits, so that lines do not jump.
 * @param {import('./statistics.js').Track[]} tracks
 * @param {string} unit
 * @param {{min: number, max: number, step: number}|null} before
 * @param {boolean} fromZero whether 0 is always shown
 */
export function rangeOf(tracks, unit, before, fromZero) {
  let [min, max] = [Infinity, -Infinity];
  for (const { times, lines } of tracks) {
    let index = times.length;
    while (index > 0 && times[index - 1] >= view.from) {
      index -= 1;
      for (const line of lines) {
        const value = line[index];
        if (value === null) continue;
        if (value < min) min = value;
        if (value > max) max = value;
      }
    }
  }
  if (unit === '0 or 1') return { min: 0, max: 1, step: 1 };
  if (min > max) return { min: 0, max: 1, step: 0.5, isEmpty: true };
  if (fromZero || max === min || min < 0 || max - min > max / 4) {
    min = Math.min(min, 0);
    max = Math.max(max, 0);
  }
  if (max === min) return { min: 0, max: 1, step: 0.5 };
  const step = stepOf((max - min) / 3, unit, Math.max(max, -min));
  const range = {
    min: Math.floor(min / step + 1e-9) * step,
    max: Math.ceil(max / step - 1e-9) * step,
    step,
  };
  const fits = before && before.min <= range.min && before.max >= range.max;
  return fits && range.max - range.min > 0.45 * (before.max - before.min) ? before : range;
}

/** Marks of the axis of time: how long ago. They stand still while the lines move. */
function timeMarks() {
  const span = view.to - view.from;
  const step = span >= 600 ? 300 : span >= 300 ? 120 : span >= 120 ? 60 : 30;
  const marks = [];
  for (let ago = Math.floor(span / step) * step; ago >= 0; ago -= step) marks.push(view.to - ago);
  return marks;
}

function ago(mark) {
  const seconds = Math.round(view.to - mark);
  if (seconds === 0) return 'now';
  return seconds % 60 ? `−${seconds}\u202fs` : `−${seconds / 60}\u202fmin`;
}

/** Tells every chart of its element's new size. */
const sizes = new ResizeObserver((entries) => {
  for (const { target, contentRect } of entries) target.drawing?.resize(contentRect.width, contentRect.height);
});

/** Lines over time. */
export class Chart {
  /**
   * @param {HTMLElement} host an element with a size of its own
   * @param {Object} options
   * @param {{name: string, tone: string, area?: boolean}[]} options.lines
   * @param {string} options.unit
   * @param {boolean} [options.small] without axes
   * @param {boolean} [options.stepped] values hold until the next
   * @param {{currency?: string}} [options.more]
   */
  constructor(host, options) {
    this.host = host;
    this.options = options;
    this.range = { min: 0, max: 1, step: 0.5 };
    host.drawing = this;
    this.#make();
    sizes.observe(host);
  }

  /**
   * @param {import('./statistics.js').Track} track
   * @param {{min: number, max: number, step: number}} range
   */
  draw(track, range) {
    this.range = range;
    this.track = track;
    // What has no value after a while has none to be shown; until then there may be one to come.
    this.host.classList.toggle('empty', Boolean(range.isEmpty) && !this.options.small && track.times.length > 2);
    this.plot.setData([track.times, ...track.lines]);
  }

  resize(width, height) {
    if (width > 0 && height > 0) this.plot.setSize({ width, height });
  }

  /** Takes on the colours of another theme. */
  restyle() {
    this.plot.destroy();
    this.#make();
    if (this.track) this.draw(this.track, this.range);
  }

  destroy() {
    sizes.unobserve(this.host);
    this.host.drawing = null;
    leave(this);
    this.plot.destroy();
  }

  #make() {
    const { lines, small, stepped, unit, more } = this.options;
    const colour = palette();
    const paths = stepped ? uPlot.paths.stepped({ align: 1 }) : undefined;
    const series = lines.map(({ tone, area }) => ({
      stroke: colour[tone],
      fill: area ? colour[tone === 'bad' ? 'bad-area' : 'area'] : undefined,
      width: small ? 1.25 : 1.5,
      points: { show: false },
      paths,
      spanGaps: false,
    }));
    const axis = {
      stroke: colour.muted,
      font: FONT,
      grid: { stroke: colour.grid, width: 1 },
      ticks: { show: false },
      border: { show: false },
    };
    const axes = small
      ? [{ show: false }, { show: false }]
      : [
          {
            ...axis,
            size: 20,
            splits: timeMarks,
            values: (_, marks) => marks.map(() => ''),
          },
          {
            ...axis,
            size: LEFT,
            gap: 6,
            splits: () => this.#marks(),
            values: (_, marks) => formatTicks(marks, unit, more),
          },
        ];
    this.plot = new uPlot(
      {
        width: Math.max(this.host.clientWidth, 10),
        height: Math.max(this.host.clientHeight, 10),
        padding: small ? [2, 1, 2, 1] : [8, RIGHT, 0, 0],
        legend: { show: false },
        cursor: {
          y: false,
          drag: { x: false, y: false, setScale: false },
          points: { size: 6 },
          sync: { key: 'obs', scales: ['x', null], setSeries: false },
        },
        scales: {
          x: { time: true, range: () => [view.from, view.to] },
          y: { range: () => [this.range.min, this.range.max] },
        },
        series: [{}, ...series],
        axes,
        hooks: {
          draw: [
            (plot) => {
              markRestarts(plot, colour.warn);
              if (!small) nameTimes(plot, colour.muted);
            },
          ],
          setCursor: [() => tell(this)],
          ready: [
            (plot) => {
              plot.over.addEventListener('mouseenter', () => enter(this));
              plot.over.addEventListener('mouseleave', () => leave(this));
            },
          ],
        },
      },
      [[], ...lines.map(() => [])],
      this.host,
    );
  }

  #marks() {
    const { min, max, step, isEmpty } = this.range;
    if (isEmpty) return [];
    const count = Math.round((max - min) / step);
    const every = count > 4 ? 2 : 1;
    return Array.from({ length: Math.floor(count / every) + 1 }, (_, index) => min + index * every * step);
  }
}

/** Writes beneath the marks of time. The first and the last stay within the chart, clear of the other axis. */
function nameTimes(plot, colour) {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.fillStyle = colour;
  ctx.font = FONT.replace(/\d+/, (size) => size * devicePixelRatio);
  ctx.textBaseline = 'top';
  for (const mark of timeMarks()) {
    const x = plot.valToPos(mark, 'x', true);
    ctx.textAlign = mark === view.to ? 'right' : x - bbox.left < 24 * devicePixelRatio ? 'left' : 'center';
    ctx.fillText(ago(mark), x, bbox.top + bbox.height + 5 * devicePixelRatio);
  }
  ctx.restore();
}

function markRestarts(plot, colour) {
  if (view.restarts.length === 0) return;
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.strokeStyle = colour;
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
  for (const at of view.restarts) {
    const x = Math.round(plot.valToPos(at, 'x', true)) + 0.5;
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.restore();
}

// What stands beside the pointer: one element for all charts.
const tip = el('div', { class: 'tip', hidden: '' });
document.body.append(tip);
let pointed = null;

function enter(chart) {
  pointed = chart;
}

function leave(chart) {
  if (pointed !== chart) return;
  pointed = null;
  tip.hidden = true;
}

function tell(chart) {
  if (pointed !== chart) return;
  const { idx, left, top } = chart.plot.cursor;
  if (idx === null || idx === undefined || left < 0 || !chart.track) {
    tip.hidden = true;
    return;
  }
  const { lines, unit, more } = chart.options;
  const rows = lines.map(({ name, tone }, number) =>
    el(
      'div',
      { class: 'tip-row' },
      el('span', { class: `swatch ${tone}` }),
      el('span', { class: 'tip-name' }, name),
      el('span', { class: 'tip-value' }, format(chart.track.lines[number][idx], unit, more)),
    ),
  );
  tip.replaceChildren(el('div', { class: 'tip-time' }, clock(chart.track.times[idx])), ...rows);
  tip.hidden = false;
  const box = chart.plot.over.getBoundingClientRect();
  const width = tip.offsetWidth;
  const x = box.left + left + 14;
  tip.style.left = `${x + width > innerWidth - 8 ? box.left + left - width - 14 : x}px`;
  tip.style.top = `${Math.max(8, box.top + top - tip.offsetHeight - 10)}px`;
}

/** When observations fell into which bucket: time to the right, bounds upwards, more of them darker. */
export class HeatStrip {
  /**
   * @param {HTMLElement} host
   * @param {{unit: string, lowest?: number, more?: Object}} options `lowest` is the least value that is ever observed
   */
  constructor(host, options) {
    this.host = host;
    this.options = options;
    this.canvas = el('canvas', { 'aria-hidden': 'true' });
    host.append(this.canvas);
    host.drawing = this;
    sizes.observe(host);
  }

  /**
   * @param {import('./statistics.js').Track} track a line for each bucket: what fell into it since the snapshot before
   * @param {number[]} bounds the buckets' upper bounds
   */
  draw(track, bounds) {
    this.track = track;
    this.bounds = bounds;
    const { clientWidth: width, clientHeight: height } = this.host;
    if (width <= LEFT + RIGHT || height === 0) return;
    const ratio = devicePixelRatio;
    const [wide, high] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (this.canvas.width !== wide || this.canvas.height !== high) {
      Object.assign(this.canvas, { width: wide, height: high });
    }
    const context = this.canvas.getContext('2d');
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    this.#cells(context, width - LEFT - RIGHT, height);
  }

  resize() {
    if (this.track) this.draw(this.track, this.bounds);
  }

  restyle() {
    this.resize();
  }

  destroy() {
    sizes.unobserve(this.host);
    this.host.drawing = null;
    this.canvas.remove();
  }

  #cells(context, width, height) {
    const { times, lines } = this.track;
    const colour = palette();
    const used = lines.map((line) => line.some((value) => value > 0));
    let [first, last] = [used.indexOf(true), used.lastIndexOf(true)];
    context.fillStyle = colour.grid;
    context.globalAlpha = 0.5;
    context.fillRect(LEFT, 0, width, height);
    context.globalAlpha = 1;
    if (first < 0) return;
    // A strip of one bucket would say nothing of where it is.
    if (last - first < 2) [first, last] = [Math.max(0, first - 1), Math.min(lines.length - 1, last + 1)];
    const bins = binned(times, lines.slice(first, last + 1), Math.max(8, Math.floor(width / 6)));
    const rowHeight = height / (last - first + 1);
    const columnWidth = (width * bins.seconds) / (view.to - view.from);
    context.fillStyle = colour.accent;
    context.save();
    context.beginPath();
    context.rect(LEFT, 0, width, height);
    context.clip();
    for (const [bin, counts] of bins.columns) {
      const x = LEFT + (width * (bin * bins.seconds - view.from)) / (view.to - view.from);
      counts.forEach((count, row) => {
        if (count === 0) return;
        context.globalAlpha = 0.15 + 0.85 * Math.sqrt(count / bins.most);
        context.fillRect(x, height - (row + 1) * rowHeight, columnWidth - 1, Math.max(1, rowHeight - 1));
      });
    }
    context.restore();
    this.#labels(context, height, first, last);
  }

  #labels(context, height, first, last) {
    const { unit, more, lowest } = this.options;
    context.globalAlpha = 1;
    context.fillStyle = palette().muted;
    context.font = FONT;
    context.textAlign = 'right';
    context.textBaseline = 'top';
    const upper = this.bounds[last];
    context.fillText(formatBound(upper, unit, more), LEFT - 6, 0);
    context.textBaseline = 'bottom';
    const lower = first > 0 ? this.bounds[first - 1] : (lowest ?? (this.bounds[0] > 0 ? 0 : -Infinity));
    context.fillText(formatBound(lower, unit, more), LEFT - 6, height);
  }
}

/** Counts in columns of equal width, which begin at whole multiples of it, so that they move but do not change. */
function binned(times, lines, most) {
  const seconds = Math.max(1, Math.ceil((view.to - view.from) / most));
  const columns = new Map();
  times.forEach((time, index) => {
    if (time < view.from) return;
    const bin = Math.floor(time / seconds);
    let counts = columns.get(bin);
    if (!counts) columns.set(bin, (counts = new Array(lines.length).fill(0)));
    lines.forEach((line, row) => {
      counts[row] += line[index] ?? 0;
    });
  });
  let highest = 0;
  for (const counts of columns.values()) highest = Math.max(highest, ...counts);
  return { seconds, columns, most: highest };
}

