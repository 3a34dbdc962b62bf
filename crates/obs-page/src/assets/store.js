// What a tab keeps in the browser, so that loading it anew loses nothing: the last samples, and what the user pinned. Of each address its
// own, which all tabs of it share, and only there: the process takes no writes.

/** The most that samples may take, in bytes, and how much may be written a second. */
const MOST_BYTES = 64e6;
const BYTES_A_SECOND = 200_000;

/** After how many seconds what the values belong to is written again. */
const REPEATED_AFTER = 120;

const SAMPLES = 'samples';
const PINS = 'pins';

/** Where the page itself is: it, its scripts and its worker agree on that. */
const PLACE = new URL('../', import.meta.url).pathname;

/** The database; null where the browser keeps none, as in a private window. */
export async function openStore() {
  try {
    const asked = indexedDB.open(`obs ${PLACE}`, 1);
    asked.onupgradeneeded = () => {
      asked.result.createObjectStore(SAMPLES, { keyPath: 'at' });
      asked.result.createObjectStore(PINS);
    };
    return await done(asked);
  } catch {
    return null;
  }
}

/** The last samples of this address: every tab that shows it adds to them, and each moment is there once. */
export class Samples {
  /** When each is from and how large it is, whichever tab it came from. */
  #kept = [];
  #bytes = 0;
  /** What values belong to, as text and with its mark. */
  #families = null;
  /** When this tab wrote what values belong to, by its mark: series that come and go are written once. */
  #written = new Map();
  #adding = Promise.resolve();

  constructor(database, span) {
    this.database = database;
    this.span = span;
  }

  /** What is there from before `at`, oldest first, one after the other. */
  async *read(at) {
    const range = IDBKeyRange.bound(at - this.span, at, false, true);
    const found = await done(this.#store('readonly').getAll(range));
    // A sample says by a mark what its values are, which one of them has to bring.
    const brought = new Map(found.filter(({ of, families }) => of && families).map(({ of, families }) => [of, families]));
    const samples = found.filter(({ of }) => brought.has(of));
    this.#kept = samples.map((sample) => ({ at: sample.at, bytes: weight(sample) }));
    this.#bytes = this.#kept.reduce((sum, { bytes }) => sum + bytes, 0);
    await done(this.#store('readwrite').delete(IDBKeyRange.upperBound(samples[0]?.at ?? at, true)));
    let before = null;
    for (const { at, of, values } of samples) {
      yield { at, families: of === before ? null : await unpacked(brought.get(of)), values };
      before = of;
    }
  }

  /**
   * Keeps a sample, unless another tab has. Large ones are kept now and then only; where the browser refuses, nothing is.
   * @param {{at: number, families: Object[]|null, values: Float64Array}} sample
   */
  add({ at, families, values }) {
    const sample = { at, families, values: values.slice() };
    this.#adding = this.#adding.then(() => this.#add(sample)).catch(() => this.#written.clear());
    return this.#adding;
  }

  async #add({ at, families, values }) {
    if (families) this.#families = marked(families);
    const last = this.#kept.at(-1);
    if (!this.#families || (last && at - last.at < last.bytes / BYTES_A_SECOND)) return;
    const { of, text } = this.#families;
    // What samples that are forgotten take with them is needed by those that stay: it is repeated now and then.
    for (const [mark, since] of this.#written) if (at - since >= REPEATED_AFTER) this.#written.delete(mark);
    const brings = !this.#written.has(of);
    const sample = { at, of, families: brings ? await packed(text) : null, values };
    const store = this.#store('readwrite');
    // Tabs that are looked at are given the same renderings.
    const theirs = await done(store.getAllKeys(IDBKeyRange.bound(last?.at ?? -Infinity, at, true)));
    // Those of other tabs have about the size of this one.
    const added = theirs.map((at) => ({ at, bytes: values.byteLength }));
    if (theirs.at(-1) !== at) {
      await done(store.put(sample));
      if (brings) this.#written.set(of, at);
      added.push({ at, bytes: weight(sample) });
    }
    for (const one of added) {
      this.#kept.push(one);
      this.#bytes += one.bytes;
    }
    this.#forget(store, at);
  }

  #forget(store, now) {
    let count = 0;
    while (this.#bytes > MOST_BYTES || this.#kept[count]?.at < now - this.span) {
      this.#bytes -= this.#kept[count].bytes;
      count += 1;
    }
    if (!count) return;
    store.delete(IDBKeyRange.upperBound(this.#kept[count - 1].at));
    this.#kept.splice(0, count);
  }

  #store(mode) {
    // Not waiting for the disk: what is lost when the machine fails is the last seconds.
    return this.database.transaction(SAMPLES, mode, { durability: 'relaxed' }).objectStore(SAMPLES);
  }
}

/** The names of the metrics that the user pinned, in the order in which that was done, in whichever tab. */
export class Pins {
  names = [];
  #others = null;

  /**
   * @param {IDBDatabase|null} database
   * @param {() => void} [changed] called where other names are pinned than before, except by `toggle` in this tab
   */
  constructor(database, changed = () => {}) {
    this.database = database;
    if (!database) return;
    this.#others = new BroadcastChannel(`obs ${PINS} ${PLACE}`);
    this.#others.onmessage = () => this.read().then(changed, () => {});
  }

  async read() {
    if (!this.database) return;
    this.names = (await done(this.#store('readonly').get('names'))) ?? [];
  }

  has(name) {
    return this.names.includes(name);
  }

  /** Pins a metric, or lets go of it. This tab has that at once; it is kept beside what other tabs pinned. */
  async toggle(name) {
    const isWanted = !this.has(name);
    const changed = (names) => [...names.filter((one) => one !== name), ...(isWanted ? [name] : [])];
    this.names = changed(this.names);
    if (!this.database) return;
    const store = this.#store('readwrite');
    const kept = (await done(store.get('names'))) ?? [];
    await done(store.put(changed(kept), 'names'));
    this.#others.postMessage(null);
  }

  #store(mode) {
    return this.database.transaction(PINS, mode).objectStore(PINS);
  }
}

function weight({ families, values }) {
  return values.byteLength + (families?.byteLength ?? 0);
}

/** What values belong to, and the mark of it, the same in every tab. */
function marked(families) {
  const text = JSON.stringify(families);
  return { of: markOf(text), text };
}

/** A text, compressed: names and labels are a tenth of themselves then. */
async function packed(text) {
  const stream = new Blob([text]).stream().pipeThrough(new CompressionStream('gzip'));
  return new Response(stream).arrayBuffer();
}

/** The length of a text, and its hash after Fowler, Noll and Vo. */
function markOf(text) {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return `${text.length} ${hash >>> 0}`;
}

async function unpacked(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
  // JSON has no infinity, which the last bucket ends at.
  return JSON.parse(await new Response(stream).text(), (key, value) => (key === 'bounds' ? value.map((bound) => bound ?? Infinity) : value));
}

function done(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
