// The processes on the page of an agent: which of them live, hang or are dead. A service that shows itself has none of these families.

import { labelOf, span } from './format.js';

/** How many processes of a name live, how many dead ones have their last values shown, and for how long watched loops hang. */
const UP = 'obs_process_up';
const DEAD = 'obs_process_dead';
const HUNG = 'obs_process_hung_seconds';

/** The label by which they differ. */
export const PROCESS = 'process';

/** What comes first. */
const ORDER = ['dead', 'hung', 'up', 'ended'];

/**
 * @typedef {Object} Process
 * @property {string} name
 * @property {'dead'|'hung'|'up'|'ended'} state `dead` while its last values are shown, `ended` when its totals alone remain
 * @property {string} text
 * @property {string} note what is to be said of it where somebody should look, or nothing; it stays the same while that lasts
 */

/**
 * The processes, those first at which somebody should look; null where the exposition is that of one service.
 * @param {import('./history.js').Snapshot} snapshot
 * @returns {Process[]|null}
 */
export function processesOf({ layout, values }) {
  const up = layout.family(UP);
  if (!up) return null;
  const dead = new Map((layout.family(DEAD)?.series ?? []).map(({ labels, at }) => [labelOf(labels, PROCESS), values[at]]));
  const loops = new Map();
  for (const { labels, at } of layout.family(HUNG)?.series ?? []) {
    if (!(values[at] > 0)) continue;
    const name = labelOf(labels, PROCESS);
    loops.set(name, [...(loops.get(name) ?? []), { loop: labelOf(labels, 'loop'), seconds: values[at] }]);
  }
  const processes = up.series.map(({ labels, at }) => {
    const name = labelOf(labels, PROCESS) ?? '';
    return { name, ...stateOf(values[at], dead.get(name) ?? 0, loops.get(name) ?? []) };
  });
  return processes.sort((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state) || (a.name < b.name ? -1 : 1));
}

function stateOf(up, dead, loops) {
  if (up === 0 && dead > 0) return { state: 'dead', text: 'dead', note: 'is dead: what is shown of it, and is part of sums, is what it had last' };
  if (up === 0) return { state: 'ended', text: 'ended', note: '' };
  if (loops.length) {
    const longest = Math.max(...loops.map(({ seconds }) => seconds));
    const names = loops.map(({ loop }) => loop).join(', ');
    return { state: 'hung', text: `hangs for ${span(longest)}`, note: `hangs: no beat of ${names}` };
  }
  return { state: 'up', text: up > 1 ? `${up} up` : 'up', note: '' };
}

/** How many of them are in order, in words. */
export function summaryOf(processes) {
  const count = (wanted) => processes.filter(({ state }) => state === wanted).length;
  const ended = count('ended');
  const parts = [`${count('up')} of ${processes.length - ended} ${processes.length - ended === 1 ? 'process' : 'processes'} up`];
  if (count('hung')) parts.push(`${count('hung')} hung`);
  if (count('dead')) parts.push(`${count('dead')} dead`);
  return parts.join(', ');
}

/** What is said in the window's title; nothing where nobody has to look. */
export function headlineOf(processes) {
  return processes.filter(({ note }) => note).map(({ name, state }) => `${name} ${state}`).slice(0, 2).join(', ');
}
