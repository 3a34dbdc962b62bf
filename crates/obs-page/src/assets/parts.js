// How the worker gives the page the families of an exposition: in parts. The page would be busy for too long with many thousand series
// at once.

/** How many series are in a part. */
const SERIES = 1000;

/**
 * @param {import('./exposition.js').Family[]} families
 * @returns {Generator<import('./exposition.js').Family[]>} together the same; a family that goes on in the next part is there again
 */
export function* partsOf(families) {
  let part = [];
  let room = SERIES;
  for (const family of families) {
    let from = 0;
    do {
      const series = family.series.slice(from, from + room);
      part.push({ ...family, series });
      from += series.length;
      room -= series.length;
      if (room > 0) break;
      yield part;
      [part, room] = [[], SERIES];
    } while (from < family.series.length);
  }
  if (part.length) yield part;
}

/** Puts parts together again. */
export class Joined {
  #families = [];

  /** @param {import('./exposition.js').Family[]} part */
  add(part) {
    const [first, ...rest] = part;
    const last = this.#families.at(-1);
    if (last && last.name === first.name) for (const series of first.series) last.series.push(series);
    else this.#families.push(first);
    this.#families.push(...rest);
  }

  /** All of them since this was last asked; null where there were none. */
  take() {
    const families = this.#families;
    this.#families = [];
    return families.length ? families : null;
  }
}
