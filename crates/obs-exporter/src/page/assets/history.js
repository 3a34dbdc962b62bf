// The last minutes of everything, as snapshots: the values of each exposition, beside the families that say which is which.

/** How far back the page remembers, in seconds. */
export const SPAN = 15 * 60;

/** The most values that are kept: 64 MB of them. Beyond it the older half loses every other snapshot. */
const MOST_VALUES = 8_000_000;

/** Which value belongs to which series; the same object for all snapshots with the same series. */
export class Layout {
  #byName = new Map();
  #byKey = new Map();

  /** @param {import('./exposition.js').Family[]} families */
  constructor(families) {
    this.families = families;
    for (const family of families) this.#byName.set(family.name, family);
    this.seriesCount = families.reduce((sum, family) => sum + family.series.length, 0);
  }

  /** @param {string} name */
  family(name) {
    return this.#byName.get(name);
  }

  /** The series with these labels. */
  series(name, key) {
    let known = this.#byKey.get(name);
    if (!known) {
      known = new Map((this.family(name)?.series ?? []).map((series) => [series.key, series]));
      this.#byKey.set(name, known);
    }
    return known.get(key);
  }
}

/**
 * @typedef {Object} Snapshot
 * @property {number} at seconds since 1970
 * @property {Layout} layout
 * @property {Float64Array} values
 * @property {number} run which run of the process it is from
 */

export class History {
  /** @type {Snapshot[]} */
  snapshots = [];
  /** When the process was seen to have started anew. */
  restarts = [];
  /** Counts what was added, also what is forgotten again. */
  added = 0;
  #values = 0;
  #run = 0;

  get latest() {
    return this.snapshots.at(-1);
  }

  /**
   * Adds what the worker read.
   * @param {{at: number, families: import('./exposition.js').Family[]|null, values: Float64Array}} sample
   */
  add({ at, families, values }) {
    const layout = families ? new Layout(families) : this.latest.layout;
    const snapshot = { at, layout, values, run: this.#run };
    if (this.latest && hasRestarted(this.latest, snapshot)) {
      this.#run += 1;
      snapshot.run = this.#run;
      this.restarts.push(at);
    }
    this.snapshots.push(snapshot);
    this.#values += values.length;
    this.added += 1;
    this.#forget(at - SPAN);
  }

  /** The first snapshot not older than so many seconds before another, of the same run. Its index. */
  since(index, seconds) {
    const { at, run } = this.snapshots[index];
    let first = index;
    while (first > 0) {
      const before = this.snapshots[first - 1];
      if (before.at < at - seconds || before.run !== run) break;
      first -= 1;
    }
    return first;
  }

  #forget(before) {
    let count = 0;
    while (this.snapshots[count].at < before) {
      this.#values -= this.snapshots[count].values.length;
      count += 1;
    }
    if (count) this.snapshots.splice(0, count);
    this.restarts = this.restarts.filter((at) => at >= before);
    if (this.#values > MOST_VALUES) this.#thin();
  }

  #thin() {
    const half = this.snapshots.length >> 1;
    this.snapshots = this.snapshots.filter((_, index) => index >= half || index % 2 === 0);
    this.#values = this.snapshots.reduce((sum, { values }) => sum + values.length, 0);
  }
}

/** A value of a metric without labels of its own. */
export function value(snapshot, name) {
  const series = snapshot.layout.family(name)?.series[0];
  return series?.at === undefined ? NaN : snapshot.values[series.at];
}

function hasRestarted(before, after) {
  const started = (snapshot) => value(snapshot, 'process_start_time_seconds');
  const uptime = (snapshot) => value(snapshot, 'app_uptime_seconds');
  // The start is told in whole seconds, from a boot time that may be read a second off.
  return started(after) > started(before) + 1.5 || uptime(after) < uptime(before);
}
