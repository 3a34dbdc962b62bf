// Charts: lines by uPlot, and strips of heat for histograms. All show a stretch of time that ends now, or the one that is held still.

import { axisOf, marksOf, textsOf } from './axis.js';
import { clock, format, formatBound } from './format.js';
import { el } from './dom.js';

/**
 * What charts show: from when to when, in seconds since 1970, whether that stays while time goes on, and where the process was
 * seen to start anew.
 */
export const view = { from: 0, to: 1, isFixed: false, restarts: [] };

/** The same for figures, which the process remembers from before the page was opened: it may begin earlier. */
export const figuresView = { ...view };

/** A shorter stretch of time than this, in seconds, cannot be looked at. */
export const LEAST_SPAN = 5;

/** Where the plotting area begins and ends beside its axis, in pixels; the same everywhere, so that charts align. */
const LEFT = 62;
const RIGHT = 14;

/** Between a text of the axis and the plotting area, in pixels. */
const GAP = 6;

const FONT = "11px Inter, 'Segoe UI', Roboto, 'Helvetica Neue', 'Liberation Sans', Arial, system-ui, sans-serif";

let colours = null;

/** The colours of the style sheet, as it is now: light or dark. */
export function palette() {
  if (!colours) {
    const style = getComputedStyle(document.documentElement);
    const names = ['accent', 'strong', 'soft', 'bad', 'warn', 'good', 'muted', 'grid', 'area', 'bad-area'];
    colours = Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
  }
  return colours;
}

/** Has the colours read again. */
export function forgetPalette() {
  colours = null;
}

/**
 * The range of an axis over what the tracks have in view.
 * @param {import('./statistics.js').Track[]} tracks
 * @param {string} unit
 * @param {import('./axis.js').Range|null} before
 * @param {boolean} fromZero whether 0 is always shown
 * @param {{currency?: string}} [more]
 * @param {typeof view} [seen]
 */
export function rangeOf(tracks, unit, before, fromZero, more, seen = view) {
  let [min, max] = [Infinity, -Infinity];
  for (const { times, lines } of tracks) {
    let index = times.length;
    while (index > 0 && times[index - 1] >= seen.from) {
      index -= 1;
      if (times[index] > seen.to) continue;
      for (const line of lines) {
        const value = line[index];
        if (value === null) continue;
        if (value < min) min = value;
        if (value > max) max = value;
      }
    }
  }
  return axisOf(min, max, unit, before, { fromZero, fits: hasRoom, more });
}

const widths = new Map();
let pen = null;

/** Whether a text is narrow enough to stand beside the axis. */
function hasRoom(text) {
  let width = widths.get(text);
  if (width === undefined) {
    pen ??= document.createElement('canvas').getContext('2d');
    pen.font = FONT;
    width = pen.measureText(text).width;
    if (widths.size > 2000) widths.clear();
    widths.set(text, width);
  }
  return width <= LEFT - GAP - 1;
}

/** How far apart marks of time may be, in seconds. */
const STEPS = [5, 10, 15, 30, 60, 120, 300, 900, 1800, 3600, 4 * 3600, 6 * 3600];

/** Marks of the axis of time: how long ago. They stand still while the lines move. */
function timeMarks(view) {
  const span = view.to - view.from;
  const step = STEPS.find((step) => span / step <= 5) ?? STEPS.at(-1);
  const marks = [];
  for (let ago = Math.floor(span / step) * step; ago >= 0; ago -= step) marks.push(view.to - ago);
  return marks;
}

function ago(mark, view) {
  if (view.isFixed) return clock(mark);
  const seconds = Math.round(view.to - mark);
  if (seconds === 0) return 'now';
  if (seconds % 3600 === 0) return `−${seconds / 3600}\u202fh`;
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
   * @param {boolean} [options.isLog] by orders of magnitude; what is not above 0 is not drawn
   * @param {{currency?: string}} [options.more]
   * @param {{tone: string, times: number[]}[]} [options.marks] moments that are marked at the foot
   * @param {typeof view} [options.seen] the stretch of time that is shown
   */
  constructor(host, options) {
    this.host = host;
    this.options = options;
    this.seen = options.seen ?? view;
    this.range = { min: 0, max: 1, step: 0.5 };
    host.drawing = this;
    host.dataset.why ??= 'no value yet';
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

  /** The powers of ten around what is above 0 in view. */
  #powers() {
    let [min, max] = [Infinity, 0];
    const { times, lines } = this.track ?? { times: [], lines: [] };
    for (const line of lines) {
      line.forEach((value, index) => {
        if (value === null || value <= 0 || times[index] < this.seen.from || times[index] > this.seen.to) return;
        [min, max] = [Math.min(min, value), Math.max(max, value)];
      });
    }
    if (max === 0) return [0.1, 10];
    const low = Math.floor(Math.log10(min));
    return [10 ** low, 10 ** Math.max(low + 1, Math.ceil(Math.log10(max)))];
  }

  #make() {
    const { lines, small, stepped, unit, more, isLog } = this.options;
    const colour = palette();
    const paths = stepped ? uPlot.paths.stepped({ align: 1 }) : undefined;
    const series = lines.map(({ tone, area }) => ({
      stroke: colour[tone],
      // An area says how much; that is true of one that begins at 0 only.
      fill: area ? () => (this.range.min <= 0 && this.range.max >= 0 ? colour[tone === 'bad' ? 'bad-area' : 'area'] : 'transparent') : undefined,
      fillTo: 0,
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
            splits: () => timeMarks(this.seen),
            values: (_, marks) => marks.map(() => ''),
          },
          {
            ...axis,
            size: LEFT,
            gap: GAP,
            splits: isLog ? (_, __, min, max) => powersWithin(min, max) : () => marksOf(this.range),
            values: isLog ? (_, marks) => marks.map((mark) => format(mark, unit, more)) : () => textsOf(this.range, unit, more),
            filter: (_, marks) => marks,
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
          drag: { x: !small, y: false, setScale: false },
          points: { size: 6 },
          sync: { key: 'obs', scales: ['x', null], setSeries: false },
        },
        scales: {
          x: { time: true, range: () => [this.seen.from, this.seen.to] },
          y: isLog ? { distr: 3, range: () => this.#powers() } : { range: () => [this.range.min, this.range.max] },
        },
        series: [{}, ...series],
        axes,
        hooks: {
          draw: [
            (plot) => {
              markRestarts(plot, this.seen, colour.warn);
              markMoments(plot, this.seen, this.options.marks ?? [], colour);
              if (!small) nameTimes(plot, this.seen, colour.muted);
            },
          ],
          setCursor: [() => tell(this)],
          setSelect: [(plot) => zoomTo(plot)],
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
}

/** Has every chart show the stretch of time that was dragged over. */
function zoomTo(plot) {
  const { left, width } = plot.select;
  if (width < 2) return;
  const [from, to] = [left, left + width].map((x) => plot.posToVal(x, 'x'));
  plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  if (to - from >= LEAST_SPAN) document.dispatchEvent(new CustomEvent('zoom', { detail: { from, to } }));
}

/** Powers of ten, as marks of an axis by orders of magnitude. */
function powersWithin(min, max) {
  const marks = [];
  for (let mark = 10 ** Math.ceil(Math.log10(min) - 1e-9); mark <= max * 1.0001; mark *= 10) marks.push(mark);
  return marks;
}

/** Writes beneath the marks of time. The first and the last stay within the chart, clear of the other axis. */
function nameTimes(plot, view, colour) {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.fillStyle = colour;
  ctx.font = FONT.replace(/\d+/, (size) => size * devicePixelRatio);
  ctx.textBaseline = 'top';
  for (const mark of timeMarks(view)) {
    const x = plot.valToPos(mark, 'x', true);
    ctx.textAlign = mark === view.to ? 'right' : x - bbox.left < 24 * devicePixelRatio ? 'left' : 'center';
    ctx.fillText(ago(mark, view), x, bbox.top + bbox.height + 5 * devicePixelRatio);
  }
  ctx.restore();
}

function markRestarts(plot, view, colour) {
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

/** A small stroke at the foot of the chart for each moment, the kinds one above the other. */
function markMoments(plot, view, kinds, colour) {
  const { ctx, bbox } = plot;
  const height = 7 * devicePixelRatio;
  ctx.save();
  ctx.lineWidth = devicePixelRatio;
  kinds.forEach(({ tone, times }, row) => {
    ctx.strokeStyle = colour[tone];
    ctx.beginPath();
    for (const at of times) {
      if (at < view.from || at > view.to) continue;
      const x = Math.round(plot.valToPos(at, 'x', true)) + 0.5;
      const foot = bbox.top + bbox.height - row * (height + devicePixelRatio);
      ctx.moveTo(x, foot);
      ctx.lineTo(x, foot - height);
    }
    ctx.stroke();
  });
  ctx.restore();
}

// What stands beside the pointer: one element for all charts.
const tip = el('div', { class: 'tip', hidden: '' });
document.body.append(tip);
let pointed = null;

/** A value further than this from the pointer, in pixels, is not what it points at. */
const NEAR = 12;

function enter(drawing) {
  pointed = drawing;
}

function leave(drawing) {
  if (!drawing || pointed !== drawing) return;
  pointed = null;
  tip.hidden = true;
}

// A finger never leaves a chart as a mouse does: it touches something else, or moves the page.
document.addEventListener('pointerdown', ({ target }) => {
  if (pointed && !pointed.host.contains(target)) leave(pointed);
});
addEventListener('scroll', () => leave(pointed), { passive: true, capture: true });
addEventListener('beforeprint', () => leave(pointed));

/**
 * Shows what is known at a point of the window.
 * @param {number} x
 * @param {number} y
 * @param {string} time
 * @param {[string, string, string][]} rows tone of a swatch, name and value of each
 */
function showTip(x, y, time, rows) {
  const lines = rows.map(([tone, name, value]) =>
    el(
      'div',
      { class: 'tip-row' },
      el('span', { class: `swatch ${tone}` }),
      el('span', { class: 'tip-name' }, name),
      el('span', { class: 'tip-value' }, value),
    ),
  );
  tip.replaceChildren(el('div', { class: 'tip-time' }, time), ...lines);
  tip.hidden = false;
  const width = tip.offsetWidth;
  tip.style.left = `${Math.max(8, x + 14 + width > innerWidth - 8 ? x - width - 14 : x + 14)}px`;
  tip.style.top = `${Math.max(8, y - tip.offsetHeight - 10)}px`;
}

function tell(chart) {
  if (pointed !== chart) return;
  const { idx, left, top } = chart.plot.cursor;
  const time = chart.track?.times[idx ?? -1];
  if (time === undefined || left < 0 || Math.abs(chart.plot.valToPos(time, 'x') - left) > NEAR) {
    tip.hidden = true;
    return;
  }
  const { lines, unit, more } = chart.options;
  const scaled = { ...more, scale: chart.range.scale };
  const rows = lines.map(({ name, tone }, number) => [tone, name, format(chart.track.lines[number][idx], unit, scaled)]);
  const box = chart.plot.over.getBoundingClientRect();
  showTip(box.left + left, box.top + top, clock(time), rows);
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
    this.canvas = el('canvas', {
      'aria-hidden': 'true',
      onmouseenter: () => enter(this),
      onmouseleave: () => leave(this),
      onmousemove: ({ offsetX, offsetY, clientX, clientY }) => this.#tell(offsetX, offsetY, clientX, clientY),
    });
    host.append(this.canvas);
    // Asking for it each time would have the browser lay out what has changed since.
    this.size = { width: 0, height: 0 };
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
    const { width, height } = this.size;
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

  resize(width, height) {
    this.size = { width, height };
    this.restyle();
  }

  restyle() {
    if (this.track) this.draw(this.track, this.bounds);
  }

  destroy() {
    sizes.unobserve(this.host);
    this.host.drawing = null;
    leave(this);
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
    this.shown = null;
    if (first < 0) return;
    // A strip of one bucket would say nothing of where it is.
    if (last - first < 2) [first, last] = [Math.max(0, first - 1), Math.min(lines.length - 1, last + 1)];
    const bins = binned(times, lines.slice(first, last + 1), Math.max(8, Math.floor(width / 6)));
    const rowHeight = height / (last - first + 1);
    this.shown = { bins, first, rowHeight, width, height };
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

  /** What the cell under the pointer counts. */
  #tell(x, y, left, top) {
    if (!this.shown || x < LEFT || x >= LEFT + this.shown.width) {
      tip.hidden = true;
      return;
    }
    const { bins, first, rowHeight, width, height } = this.shown;
    const time = view.from + ((x - LEFT) / width) * (view.to - view.from);
    const bin = Math.floor(time / bins.seconds);
    const row = Math.floor((height - y) / rowHeight);
    const counts = bins.columns.get(bin);
    if (!counts || row < 0 || row >= counts.length) {
      tip.hidden = true;
      return;
    }
    const { unit, more } = this.options;
    const bound = (index) => formatBound(index < 0 ? this.#lowest() : this.bounds[index], unit, more);
    const name = `${bound(first + row - 1)} to ${bound(first + row)}`;
    const stretch = bins.seconds > 1 ? `${clock(bin * bins.seconds)} to ${clock((bin + 1) * bins.seconds)}` : clock(bin * bins.seconds);
    showTip(left, top, stretch, [['accent', name, format(counts[row], 'count')]]);
  }

  #lowest() {
    return this.options.lowest ?? (this.bounds[0] > 0 ? 0 : -Infinity);
  }

  #labels(context, height, first, last) {
    const { unit, more } = this.options;
    context.globalAlpha = 1;
    context.fillStyle = palette().muted;
    context.font = FONT;
    context.textAlign = 'right';
    context.textBaseline = 'top';
    const upper = this.bounds[last];
    context.fillText(formatBound(upper, unit, more), LEFT - 6, 0);
    context.textBaseline = 'bottom';
    const lower = first > 0 ? this.bounds[first - 1] : this.#lowest();
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

