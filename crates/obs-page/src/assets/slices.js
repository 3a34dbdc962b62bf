// Work that one frame has no time for. It is done in slices, first come first served, so that the page answers in between.

/** For how many milliseconds of a frame it goes on. */
const SLICE_MS = 8;

/** Work that waits, each once. */
const waiting = new Set();
let isRunning = false;

/**
 * Has something done in the next frames, behind what waits already.
 * @param {() => boolean|void} work does a few milliseconds' worth, and says whether there is more of it
 */
export function later(work) {
  waiting.add(work);
  if (isRunning) return;
  isRunning = true;
  requestAnimationFrame(run);
}

function run() {
  const until = performance.now() + SLICE_MS;
  for (const work of waiting) {
    let isMore = true;
    while (isMore && performance.now() < until) isMore = work();
    if (isMore) break;
    waiting.delete(work);
  }
  isRunning = waiting.size > 0;
  if (isRunning) requestAnimationFrame(run);
}
