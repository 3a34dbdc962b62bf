// Asks for the exposition once a second and reads it, apart from the thread that draws.
//
// To the page go { sample: { at, values, bytes } }, behind { part: families } for each part of the families where those are not the ones
// of the sample before; { failure: text } when there was no answer or one that cannot be read; and before the first of them, with parts of
// its own, { past: sample } for each that this browser kept from before the page was loaded anew. From the page come { keeps: boolean },
// once, and { every: milliseconds }.

import { Reader } from './exposition.js';
import { SPAN } from './history.js';
import { partsOf } from './parts.js';
import { Samples, openStore } from './store.js';

const LIVE = new URL('../live', import.meta.url);
/** How often in a row it may fail before that is shown: a place is taken for a moment, a connection is closed as it is used. */
const PATIENCE = 2;
const TIMEOUT_MS = 10_000;

const reader = new Reader();
let every = 1000;
let lastAt = null;
let failures = 0;
let timer = null;
/** Keeps samples; null where that is not wanted, or not possible. */
let samples = null;

self.onmessage = ({ data }) => {
  if (data.keeps !== undefined) {
    begin(data.keeps);
    return;
  }
  every = data.every;
  if (data.now && timer !== null) {
    clearTimeout(timer);
    run();
  }
};

async function begin(keeps) {
  const database = keeps ? await openStore() : null;
  samples = database && new Samples(database, SPAN);
  run();
}

async function run() {
  timer = null;
  const wait = await ask();
  timer = setTimeout(run, wait);
}

/** Asks once; how many milliseconds to wait before the next time. */
async function ask() {
  let response;
  try {
    response = await fetch(LIVE, { cache: 'no-store', signal: AbortSignal.timeout(TIMEOUT_MS) });
    if (!response.ok) return failed(`it answered ${response.status} ${response.statusText}`.trim());
    const text = await response.text();
    const at = Number(response.headers.get('obs-rendered-at'));
    const age = Number(response.headers.get('obs-age'));
    if (at !== lastAt) await pass(text, at);
    failures = 0;
    // Just after the rendering ceases to be shared, so that each is seen once, by all viewers.
    return Math.max(every - age * 1000, 0) + 10;
  } catch (error) {
    if (error.name === 'ExpositionError') return failed(`its exposition cannot be read: ${error.message}`);
    if (error.name !== 'TimeoutError') return failed('nobody answers');
    // That is no accident of a moment.
    failures = Math.max(failures, PATIENCE);
    return failed(`no answer within ${TIMEOUT_MS / 1000} s`);
  }
}

async function pass(text, at) {
  const { families, values } = reader.read(text);
  if (lastAt === null) await recall(at);
  lastAt = at;
  samples?.add({ at, families, values });
  give(families, { sample: { at, values, bytes: text.length } }, values);
}

/** Gives the page a sample, behind its families where they are others than before. */
function give(families, message, values) {
  for (const part of partsOf(families ?? [])) self.postMessage({ part });
  self.postMessage(message, [values.buffer]);
}

/** Gives the page what it had before it was loaded anew. */
async function recall(at) {
  try {
    if (!samples) return;
    for await (const { families, ...past } of samples.read(at)) give(families, { past }, past.values);
  } catch {
    // What cannot be read is not kept either.
    samples = null;
  }
}

function failed(failure) {
  failures += 1;
  if (failures <= PATIENCE) return 200 + 400 * Math.random();
  self.postMessage({ failure });
  return Math.min(1000 * (failures - PATIENCE), 5000);
}
