// What a tab keeps in the browser, so that loading it anew loses nothing: the last samples, and what the user pinned. Of each address its
// own, and only there: the process takes no writes.

/** The most that samples may take, in bytes, and how much may be written a second. */
const MOST_BYTES = 64e6;
const BYTES_A_SECOND = 200_000;

/** After how many samples what the values belong to is written again. */
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

/** The last samples of this address. */
export class Samples {
  /** When each is from, and how large it is. */
  #kept = [];
  #bytes = 0;
  #families = null;
  /** Whether the next one has to bring its families, and how many were kept since one did. */
  #isOther = true;
  #since = 0;

  constructor(database, span) {
    this.database = database;
    this.span = span;
  }

  /** What is there from before `at`, oldest first, one after the other. */
  async *read(at) {
    const range = IDBKeyRange.bound(at - this.span, at, false, true);
    const found = await done(this.#store('readonly').getAll(range));
    // The first has to say what its values are.
    const first = found.findIndex(({ families }) => families);
    const samples = first < 0 ? [] : found.slice(first);
    this.#kept = samples.map((sample) => ({ at: sample.at, bytes: weight(sample) }));
    this.#bytes = this.#kept.reduce((sum, { bytes }) => sum + bytes, 0);
    await done(this.#store('readwrite').delete(IDBKeyRange.upperBound(samples[0]?.at ?? at, true)));
    for (const [index, { at, families, values, isRepeated }] of samples.entries()) {
      yield { at, families: families && !(isRepeated && index) ? await unpacked(families) : null, values };
    }
  }

  /**
   * Keeps a sample. Large ones are kept now and then only; where the browser refuses, nothing is.
   * @param {{at: number, families: Object[]|null, values: Float64Array}} sample
   */
  async add({ at, families, values }) {
    if (families) [this.#families, this.#isOther] = [families, true];
    const last = this.#kept.at(-1);
    if (last && at - last.at < last.bytes / BYTES_A_SECOND) return;
    // What samples that are forgotten take with them is needed by those that stay: it is repeated now and then.
    const isRepeated = !this.#isOther && this.#since >= REPEATED_AFTER;
    const brings = this.#isOther || isRepeated;
    const kept = values.slice();
    this.#since = brings ? 0 : this.#since + 1;
    this.#isOther = false;
    try {
      const sample = { at, families: brings ? await packed(this.#families) : null, values: kept, isRepeated };
      const store = this.#store('readwrite');
      store.put(sample);
      this.#kept.push({ at, bytes: weight(sample) });
      this.#bytes += this.#kept.at(-1).bytes;
      this.#forget(store, at);
    } catch {
      this.#isOther = true;
    }
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

/** The names of the metrics that the user pinned, in the order in which that was done. */
export class Pins {
  names = [];

  constructor(database) {
    this.database = database;
  }

  async read() {
    if (!this.database) return;
    this.names = (await done(this.#store('readonly').get('names'))) ?? [];
  }

  has(name) {
    return this.names.includes(name);
  }

  toggle(name) {
    this.names = this.has(name) ? this.names.filter((one) => one !== name) : [...this.names, name];
    if (this.database) this.#store('readwrite').put(this.names, 'names');
  }

  #store(mode) {
    return this.database.transaction(PINS, mode).objectStore(PINS);
  }
}

function weight({ families, values }) {
  return values.byteLength + (families?.byteLength ?? 0);
}

/** What values belong to, compressed: names and labels are a tenth of themselves then. */
async function packed(families) {
  const stream = new Blob([JSON.stringify(families)]).stream().pipeThrough(new CompressionStream('gzip'));
  return new Response(stream).arrayBuffer();
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
