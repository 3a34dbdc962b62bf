// What makes numbers wrong: as the catalogue tells it, and as the metrics about the metrics show that there is more to tell.

import { total } from './statistics.js';

/** Above 0 each of these means a wrong number somewhere, and what it means where the catalogue says nothing. */
const SIGNS = {
  obs_dead_handles: 'Handles were resolved before a recorder was installed: what they record is lost.',
  obs_kind_conflicts_total: 'A name is recorded as metrics of two kinds: only the kind that was registered first is shown.',
  obs_agent_refused_files: 'Files of processes cannot be read: what they hold is left out.',
  obs_name_conflicts_total: 'Two names are the same once their characters are escaped: one of them is left out.',
};

export class Warnings {
  #seen = new Map();

  /**
   * Whether there is more to be told than when it was last asked: then the catalogue is worth another look.
   * @param {import('./history.js').Snapshot} snapshot
   */
  hasNews(snapshot) {
    let isNew = false;
    for (const name of Object.keys(SIGNS)) {
      const value = total(snapshot, name, null);
      if (value > 0 && value !== this.#seen.get(name)) isNew = true;
      this.#seen.set(name, value);
    }
    return isNew;
  }

  /**
   * What to tell: the catalogue's own words, or else what the signs mean.
   * @param {{warnings?: {kind: string, text: string}[]}} catalogue
   * @returns {string[]}
   */
  texts(catalogue) {
    const told = (catalogue.warnings ?? []).map(({ text }) => text).filter(Boolean);
    if (told.length) return told;
    return Object.keys(SIGNS).filter((name) => this.#seen.get(name) > 0).map((name) => `${SIGNS[name]} (${name})`);
  }
}
