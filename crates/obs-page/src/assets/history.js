// The last minutes of everything, as snapshots: the values of each exposition, beside the families that say which is which.

/** How far back the page remembers, in seconds. */
export const SPAN = 15 * 60;

/** The most values that are kept: 64 MB of them. Beyond it the older half loses every other snapshot. */
const MOST_VALUES = 8_000_000;

/** As much memory as so many values is what it takes to know one series, each time that series come or go. */
const SERIES_WEIGHT = 40;

/** What lies between reading the uptime and the end of a rendering may differ by so much, in seconds. */
const SLACK = 1.5;

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
 * @property {number} weight the memory it takes, in values
 */

export class History {
  /** @type {Snapshot[]} */
  snapshots = [];
  /** When the process was seen to have started anew. */
  restarts = [];
  /** Counts what was added, also what is forgotten again. */
  added = 0;
  #weight = 0;
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
    const weight = values.length + (families ? layout.seriesCount * SERIES_WEIGHT : 0);
    const snapshot = { at, layout, values, run: this.#run, weight };
    if (this.latest && hasRestarted(this.latest, snapshot)) {
      this.#run += 1;
      snapshot.run = this.#run;
      this.restarts.push(at);
    }
    this.snapshots.push(snapshot);
    this.#weight += weight;
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
      this.#weight -= this.snapshots[count].weight;
      count += 1;
    }
    if (count) this.snapshots.splice(0, count);
    this.restarts = this.restarts.filter((at) => at >= before);
    if (this.#weight > MOST_VALUES) this.#thin();
  }

  #thin() {
    const half = this.snapshots.length >> 1;
    this.snapshots = this.snapshots.filter((_, index) => index >= half || index % 2 === 0);
    this.#weight = this.snapshots.reduce((sum, { weight }) => sum + weight, 0);
  }
}

/** A value of a metric without labels of its own. */
export function value(snapshot, name) {
  const series = snapshot.layout.family(name)?.series[0];
  return series?.at === undefined ? NaN : snapshot.values[series.at];
}

/**
 * Whether the process, by its own account, began anew since the one before. What it says of its start holds, also where it stood
 * still in the middle of a rendering; how long ago it began is asked where it does not say that. What an agent shows of many processes
 * goes on where one of them begins anew, but not where the agent does: it may know less than the one before, and a total that is less
 * would pass for one that began at 0 and has risen since.
 */
function hasRestarted(before, after) {
  if (after.layout.family('obs_process_up')) {
    const [began, begins] = [before, after].map((snapshot) => value(snapshot, 'obs_agent_start_time_seconds'));
    return begins > began;
  }
  const [was, is] = [before, after].map((snapshot) => value(snapshot, 'app_uptime_seconds'));
  const [started, starts] = [before, after].map((snapshot) => value(snapshot, 'process_start_time_seconds'));
  if (started >= 0 && starts >= 0) return starts > started + SLACK || is < was;
  return after.at - is > before.at - was + SLACK;
}
