// A strict reader of the Prometheus text format, version 0.0.4, for what one process says again and again: as long as the
// series stay the same, only their values are read anew.

/**
 * A series: what has one set of labels. `at` are places among the values.
 * @typedef {Object} Series
 * @property {string} key its labels as one text, by which it is found again
 * @property {[string, string][]} labels without `le` and `quantile`
 * @property {number} [at] of a counter, gauge or untyped metric
 * @property {number[]} [parts] of a histogram's buckets or a summary's quantiles
 * @property {number[]} [bounds] the buckets' upper bounds, or the quantiles, of `parts`
 * @property {number} [sum]
 * @property {number} [count]
 *
 * @typedef {Object} Family
 * @property {string} name
 * @property {string} kind `counter`, `gauge`, `histogram`, `summary` or `untyped`
 * @property {string} help
 * @property {Series[]} series
 */

/** What is wrong with an exposition, and in which line. */
export class ExpositionError extends Error {
  constructor(line, what) {
    super(`line ${line}: ${what}`);
    this.name = 'ExpositionError';
    this.line = line;
  }
}

const NAME = /[a-zA-Z_:][a-zA-Z0-9_:]*/y;
const LABEL_NAME = /[a-zA-Z_][a-zA-Z0-9_]*/y;
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;
const KINDS = new Set(['counter', 'gauge', 'histogram', 'summary', 'untyped']);

/** Reads the expositions of one process, one after the other. */
export class Reader {
  /** Every sample line up to its value, of the last exposition that was read whole. */
  #begins = [];

  /**
   * @param {string} text
   * @returns {{families: Family[]|null, values: Float64Array}} `families` is null where they are those of the last one
   * @throws {ExpositionError}
   */
  read(text) {
    const values = this.#sameSeries(text);
    if (values) return { families: null, values };
    const parser = new Parser(text);
    parser.run();
    this.#begins = parser.begins;
    return { families: [...parser.families.values()], values: Float64Array.from(parser.values) };
  }

  /** The values, if every line begins as it did the last time. */
  #sameSeries(text) {
    const begins = this.#begins;
    if (begins.length === 0) return null;
    const values = new Float64Array(begins.length);
    let count = 0;
    for (let at = 0, line = 1; at < text.length; line += 1) {
      let end = text.indexOf('\n', at);
      if (end < 0) end = text.length;
      if (text.charCodeAt(at) !== 35 /* # */ && end > at) {
        if (count === begins.length || !text.startsWith(begins[count], at)) return null;
        values[count] = number(text.slice(at + begins[count].length, end), line);
        count += 1;
      }
      at = end + 1;
    }
    return count === begins.length ? values : null;
  }
}

class Parser {
  families = new Map();
  values = [];
  begins = [];
  #byKey = new Map();
  #current = null;

  constructor(text) {
    this.text = text;
    this.line = 0;
  }

  run() {
    if (this.text !== '' && !this.text.endsWith('\n')) {
      throw new ExpositionError(this.text.split('\n').length, 'the last line does not end');
    }
    for (const line of this.text.split('\n')) {
      this.line += 1;
      if (line === '') continue;
      if (line.startsWith('#')) this.#comment(line);
      else this.#sample(line);
    }
  }

  #fail(what) {
    throw new ExpositionError(this.line, what);
  }

  #comment(line) {
    const told = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) ?(.*)$/.exec(line);
    if (!told) return;
    const [, word, name, text] = told;
    const family = this.#family(name);
    if (word === 'HELP') {
      family.help = text.replace(/\\(\\|n)/g, (_, escaped) => (escaped === 'n' ? '\n' : '\\'));
    } else if (!KINDS.has(text)) {
      this.#fail(`${text} is no type`);
    } else if (family.series.length > 0 || family.kind !== null) {
      this.#fail(`the type of ${name} is declared twice or too late`);
    } else {
      family.kind = text;
    }
  }

  #family(name) {
    let family = this.families.get(name);
    if (!family) {
      family = { name, kind: null, help: '', series: [] };
      this.families.set(name, family);
    }
    this.#current = family;
    return family;
  }

  #sample(line) {
    const name = this.#match(NAME, line, 0) ?? this.#fail('a sample begins with a name');
    const labels = [];
    let at = name.length;
    if (line[at] === '{') at = this.#labels(line, at + 1, labels);
    if (line[at] !== ' ') this.#fail('a blank stands before the value');
    this.begins.push(line.slice(0, at + 1));
    const index = this.values.push(number(line.slice(at + 1), this.line)) - 1;
    const family = this.#familyOf(name);
    family.kind ??= 'untyped';
    this.#place(family, name.slice(family.name.length), labels, index);
  }

  #match(pattern, line, at) {
    pattern.lastIndex = at;
    return pattern.exec(line)?.[0];
  }

  #labels(line, start, labels) {
    let at = start;
    while (line[at] !== '}') {
      const name = this.#match(LABEL_NAME, line, at) ?? this.#fail('a label begins with a name');
      if (labels.some(([other]) => other === name)) this.#fail(`label ${name} stands there twice`);
      at += name.length;
      if (line[at] !== '=' || line[at + 1] !== '"') this.#fail(`="…" follows label ${name}`);
      const [value, end] = this.#quoted(line, at + 2);
      labels.push([name, value]);
      at = end;
      if (line[at] === ',') at += 1;
      else if (line[at] !== '}') this.#fail('a comma or } follows a label');
    }
    return at + 1;
  }

  #quoted(line, start) {
    let value = '';
    for (let at = start; at < line.length; at += 1) {
      const character = line[at];
      if (character === '"') return [value, at + 1];
      if (character !== '\\') {
        value += character;
        continue;
      }
      at += 1;
      if (line[at] === 'n') value += '\n';
      else if (line[at] === '\\' || line[at] === '"') value += line[at];
      else this.#fail('a backslash stands before what needs none');
    }
    return this.#fail('the value of a label does not end');
  }

  /** The family a sample belongs to: that of its name, or of its name without `_bucket`, `_sum`, `_count`. */
  #familyOf(name) {
    const current = this.#current;
    if (current && takes(current, name)) return current;
    const earlier = this.families.get(name);
    if (earlier && earlier.series.length > 0) this.#fail(`the series of ${name} do not stand together`);
    return this.#family(name);
  }

  #place(family, suffix, labels, index) {
    const parts = { histogram: 'le', summary: 'quantile' }[family.kind];
    const own = parts && labels.find(([name]) => name === parts);
    const rest = parts ? labels.filter(([name]) => name !== parts) : labels;
    const key = rest.map(([name, value]) => `${name}\u0001${value}`).join('\u0002');
    const id = `${family.name}\u0000${key}`;
    let series = this.#byKey.get(id);
    if (!series) {
      series = { key, labels: rest };
      if (parts) Object.assign(series, { parts: [], bounds: [], sum: null, count: null });
      this.#byKey.set(id, series);
      family.series.push(series);
    }
    if (!parts) {
      if (series.at !== undefined) this.#fail('this series was there already');
      series.at = index;
    } else if (suffix === '_sum') series.sum = index;
    else if (suffix === '_count') series.count = index;
    else if (!own) this.#fail(`${parts} is missing`);
    else {
      series.parts.push(index);
      series.bounds.push(number(own[1], this.line));
    }
  }
}

function takes(family, name) {
  if (!name.startsWith(family.name)) return false;
  const suffix = name.slice(family.name.length);
  if (family.kind === 'histogram') return suffix === '_bucket' || suffix === '_sum' || suffix === '_count';
  if (family.kind === 'summary') return suffix === '' || suffix === '_sum' || suffix === '_count';
  return suffix === '';
}

/** A value, of which a time of the sample may stand behind. */
function number(text, line) {
  const blank = text.indexOf(' ');
  const value = blank < 0 ? text : text.slice(0, blank);
  if (blank >= 0 && !/^-?\d+$/.test(text.slice(blank + 1))) {
    throw new ExpositionError(line, `${text.slice(blank + 1)} is no time`);
  }
  const found = Number(value);
  if (!Number.isNaN(found) && NUMBER.test(value)) return found;
  switch (value.toLowerCase()) {
    case 'nan':
      return NaN;
    case 'inf':
    case '+inf':
      return Infinity;
    case '-inf':
      return -Infinity;
    default:
      throw new ExpositionError(line, `${value} is no number`);
  }
}
