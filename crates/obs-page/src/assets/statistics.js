// What is shown of values: rates, quantiles, increments. Undefined is NaN, never 0.

/** How far back the rate of a counter looks, in seconds: long enough to be calm, short enough to be now. */
export const RATE_WINDOW = 15;

/** The same for quantiles of histograms, which need more observations to mean something. */
export const QUANTILE_WINDOW = 60;

/** The quantiles shown of a histogram. */
export const QUANTILES = [0.5, 0.95, 0.99];

/**
 * How much a counter rose. One that fell was set back to 0 between.
 * @param {number} before
 * @param {number} after
 */
export function increase(before, after) {
  return after >= before ? after - before : after;
}

/**
 * The sum over series of the increase between two snapshots. A series that was not there before began at 0.
 * @param {import('./history.js').Snapshot} from
 * @param {import('./history.js').Snapshot} to
 * @param {string} name
 * @param {string[]|null} keys which series; all when null
 */
export function increaseOf(from, to, name, keys) {
  let sum = NaN;
  for (const series of seriesOf(to, name, keys)) {
    const before = from.layout === to.layout ? series : from.layout.series(name, series.key);
    const grown = increase(before ? from.values[before.at] : 0, to.values[series.at]);
    sum = Number.isNaN(sum) ? grown : sum + grown;
  }
  return sum;
}

/**
 * The rate a second of a counter at a snapshot, over the last {@link RATE_WINDOW}.
 * @param {import('./history.js').History} history
 * @param {number} index
 */
export function rate(history, index, name, keys) {
  const from = history.snapshots[history.since(index, RATE_WINDOW)];
  const to = history.snapshots[index];
  if (from === to) return NaN;
  return increaseOf(from, to, name, keys) / (to.at - from.at);
}

/**
 * The sum over series of a gauge at a snapshot; NaN where one is undefined.
 * @param {import('./history.js').Snapshot} snapshot
 */
export function total(snapshot, name, keys) {
  let sum = NaN;
  for (const series of seriesOf(snapshot, name, keys)) {
    sum = Number.isNaN(sum) ? snapshot.values[series.at] : sum + snapshot.values[series.at];
    if (Number.isNaN(sum)) return NaN;
  }
  return sum;
}

/**
 * The increase of each bucket between two snapshots, over series: cumulative, as buckets are.
 * @returns {{bounds: number[], counts: number[]}}
 */
export function bucketIncreases(from, to, name, keys) {
  let bounds = [];
  let counts = [];
  for (const series of seriesOf(to, name, keys)) {
    // What a figure takes for a histogram may be recorded as something else.
    if (!series.parts) continue;
    if (counts.length === 0) {
      bounds = series.bounds;
      counts = new Array(bounds.length).fill(0);
    }
    const before = from.layout === to.layout ? series : from.layout.series(name, series.key);
    for (let part = 0; part < counts.length; part += 1) {
      counts[part] += increase(before ? from.values[before.parts[part]] : 0, to.values[series.parts[part]]);
    }
  }
  return { bounds, counts };
}

/**
 * A quantile of observations in buckets, as Prometheus' `histogram_quantile` estimates it: linear within a bucket, the lowest
 * of which begins at 0 unless its bound is not above that; beyond the last bound it is that bound.
 * @param {number} q from 0 to 1
 * @param {number[]} bounds rising, the last of which is Infinity
 * @param {number[]} counts cumulative
 */
export function quantile(q, bounds, counts) {
  const last = bounds.length - 1;
  const observations = counts[last];
  if (last < 1 || bounds[last] !== Infinity || !(observations > 0)) return NaN;
  let rank = q * observations;
  const bucket = counts.findIndex((count) => count >= rank);
  if (bucket === last) return bounds[last - 1];
  if (bucket === 0 && bounds[0] <= 0) return bounds[0];
  const start = bucket === 0 ? 0 : bounds[bucket - 1];
  let count = counts[bucket];
  if (bucket > 0) {
    count -= counts[bucket - 1];
    rank -= counts[bucket - 1];
  }
  return start + (bounds[bucket] - start) * (rank / count);
}

/**
 * Quantiles of a histogram at a snapshot, over the last {@link QUANTILE_WINDOW}.
 * @param {number[]} levels
 * @returns {number[]} one for each level
 */
export function quantiles(history, index, name, keys, levels = QUANTILES) {
  const from = history.snapshots[history.since(index, QUANTILE_WINDOW)];
  const to = history.snapshots[index];
  const { bounds, counts } = bucketIncreases(from, to, name, keys);
  return levels.map((q) => (from === to ? NaN : quantile(q, bounds, counts)));
}

/** Between snapshots further apart than this, in seconds, nothing is known, and no line is drawn. */
const GAP = 30;

/** Of what is older than this there is one value in so many seconds. */
const FINE = 15 * 60;
const COARSE = 30;

/** A line that was remembered waits so many seconds for a first value. */
const MOMENT = 5;

/** What is calculated from every snapshot, kept, and made longer with each new one. */
export class Track {
  times = [];
  /** One list for each line; null where it is undefined. */
  lines;

  #thinned = 0;
  /** Until when there is what was remembered. */
  #remembered = -Infinity;

  /**
   * @param {number} count how many lines
   * @param {(history: import('./history.js').History, index: number) => number[]} calculate
   * @param {number} [span] how far back it goes, in seconds; as far as the snapshots without it
   */
  constructor(count, calculate, span = 0) {
    this.lines = Array.from({ length: count }, () => []);
    this.calculate = calculate;
    this.span = span;
  }

  /**
   * Begins with what was known before there were snapshots.
   * @param {{times: number[], lines: (number|null)[][]}} memory
   */
  remember({ times, lines }) {
    if (lines.length !== this.lines.length) return;
    const until = this.times[0] ?? Infinity;
    const later = times.findIndex((time) => time >= until);
    const count = later < 0 ? times.length : later;
    if (lines.some((line) => (line[count - 1] ?? null) !== null)) this.#remembered = times[count - 1];
    this.times = [...times.slice(0, count), ...this.times];
    this.lines = this.lines.map((line, number) => [...lines[number].slice(0, count), ...line]);
  }

  /** @param {import('./history.js').History} history */
  extend(history) {
    const { snapshots } = history;
    const known = this.times.length ? this.times.at(-1) : -Infinity;
    let index = snapshots.length;
    while (index > 0 && snapshots[index - 1].at > known) index -= 1;
    for (; index < snapshots.length; index += 1) {
      const values = this.calculate(history, index);
      if (this.#waits(snapshots[index].at, values)) continue;
      this.#breakBefore(snapshots, index);
      this.times.push(snapshots[index].at);
      this.lines.forEach((line, number) => line.push(plain(values[number])));
    }
    this.#forget(snapshots);
  }

  /** A rate is known from the second sample on: until then a line goes on where what was remembered ends. */
  #waits(at, values) {
    return at - this.#remembered <= MOMENT && values.every((value) => plain(value) === null);
  }

  #forget(snapshots) {
    const now = snapshots.at(-1).at;
    if (this.span) this.#thin(now - FINE);
    const begin = this.span ? now - this.span : snapshots[0].at;
    const old = this.times.findIndex((time) => time >= begin);
    if (old <= 0) return;
    this.times.splice(0, old);
    for (const line of this.lines) line.splice(0, old);
  }

  /** Keeps one value of each half minute before a time, the last, and where lines end. */
  #thin(before) {
    if (before < this.#thinned + 2 * COARSE) return;
    this.#thinned = before;
    const { times, lines } = this;
    const slot = (index) => Math.floor(times[index] / COARSE);
    const isEnd = (index) => lines.every((line) => line[index] === null);
    const isKept = times.map((time, index) => time >= before || slot(index) !== slot(index + 1) || (isEnd(index) && !isEnd(index - 1)));
    const kept = (_, index) => isKept[index];
    this.times = times.filter(kept);
    this.lines = lines.map((line) => line.filter(kept));
  }

  /** Ends the lines where the process started anew or was not asked for long. */
  #breakBefore(snapshots, index) {
    const [from, to] = [snapshots[index - 1], snapshots[index]];
    if (!from || (from.run === to.run && to.at - from.at <= GAP)) return;
    this.times.push((from.at + to.at) / 2);
    for (const line of this.lines) line.push(null);
  }

  /** The latest values. */
  get now() {
    return this.lines.map((line) => line.at(-1) ?? NaN);
  }
}

function plain(value) {
  return Number.isFinite(value) ? value : null;
}

function seriesOf(snapshot, name, keys) {
  if (!keys) return snapshot.layout.family(name)?.series ?? [];
  return keys.map((key) => snapshot.layout.series(name, key)).filter(Boolean);
}
