// The figures of a catalogue as designs of tiles: what each needs, draws and says. Knows no metric by name, and no document.
//
// A figure, a reading or an alarm of a kind that is not known here is skipped: the catalogue may be of a later edition.

import { format, labelOf, percentile, rateOf, unitOfName } from './format.js';
import { amountText, amounts, isMoney } from './money.js';
import { PROCESS } from './processes.js';
import { bucketIncreases, increase, quantile, quantiles, rate, total, QUANTILE_WINDOW } from './statistics.js';

/** How many tiles fit on a first screen. */
export const MOST = 24;

/** How many of them are made from kinds and units where nothing is declared, and how many of one group; services of the first edition declare none. */
const MOST_DERIVED = 8;
const MOST_OF_OLD = 12;
const MOST_OF_A_GROUP = 3;

/** From this rank on a group is of a library; what lies below is the program's own. */
const LIBRARY = 100;

const TONES = ['soft', 'accent', 'strong'];

/** Units of which the gauges of several processes have no sum: moments and shares. Each process' own is shown, of so many at most. */
const APART = new Set(['timestamp', 'ratio', 'basis points']);
const MOST_APART = 4;

/** How many rows of a table and entries of a log are shown. */
export const ROWS = 5;

/**
 * What is known of the families, for units and kinds.
 * @typedef {Object} Context
 * @property {Map<string, any>} families of the catalogue, by name
 * @property {any[]} groups
 *
 * A tile: what it needs, and what it shows of it.
 * @typedef {Object} Design
 * @property {string} id
 * @property {string} title
 * @property {string} needs a family; without it there is no tile
 * @property {string} unit of the lines
 * @property {{name: string, tone: string, area?: boolean}[]} lines none for tables and logs
 * @property {(history: import('./history.js').History, index: number) => number[]} values of the lines
 * @property {boolean} isFromZero
 * @property {(history: import('./history.js').History) => string|undefined} currency the one of its series, where they have one
 * @property {(history: import('./history.js').History) => string} why there is nothing to draw, where there is nothing
 * @property {(history: import('./history.js').History, now: number[], scale?: [number, string]) => string} main the large figure;
 *   `scale` is the one of its chart
 * @property {(history: import('./history.js').History) => number} [gain] what is a gain above 0, and a loss below
 * @property {string} [suffix]
 * @property {(history: import('./history.js').History, now: number[], scale?: [number, string]) => [string, string, string?][]} facts
 *   name, text, colour of a line
 * @property {(history: import('./history.js').History) => boolean} isBad whether somebody should look
 * @property {(history: import('./history.js').History) => number} [share] how far a bar is filled, 0 to 1
 * @property {(history: import('./history.js').History) => {heads: string[], rows: string[][], more: number}} [table]
 * @property {string} [by] the label that the rows of a table are values of
 * @property {{family: string, label: string}} [log]
 */

/**
 * The tiles for which there are series: the declared figures by rank, and for groups of the program's own without figures some
 * that are made from their families.
 * @param {Context} context
 * @param {import('./history.js').Layout} layout
 * @returns {Design[]}
 */
export function designsOf(context, layout) {
  const has = (name) => Boolean(layout.family(name)?.series.length);
  const declared = context.groups.flatMap((group) => group.figures ?? []);
  const figures = [...declared, ...derivedFigures(context, layout)];
  const inOrder = figures.map((figure, place) => ({ figure, rank: figure.rank ?? 0, place }));
  inOrder.sort((a, b) => a.rank - b.rank || a.place - b.place);
  const designs = inOrder.map(({ figure }) => designOf(figure, context, layout)).filter((design) => design && has(design.needs));
  return designs.slice(0, MOST);
}

/** Figures for families that no declaration says the importance of: of each group its first counter, histogram and gauge. */
export function derivedFigures({ families, groups }, layout) {
  const isOld = groups.every(({ rank }) => rank === undefined);
  const bare = groups.filter((group) => !group.figures?.length && (isOld || group.rank < LIBRARY));
  const lists = bare.map((group, place) => ({
    rank: group.rank ?? place,
    names: [...families.values()].filter((family) => family.group === group.id).map(({ name }) => name),
  }));
  // What nobody declared is all there is to show of a program that declares nothing.
  if (!groups.some((group) => !(group.rank >= LIBRARY))) {
    lists.push({ rank: 0, names: layout.families.map(({ name }) => name).filter((name) => !families.has(name)) });
  }
  return lists.flatMap(({ rank, names }) => firstOfEachKind(names, families, layout, rank)).slice(0, isOld ? MOST_OF_OLD : MOST_DERIVED);
}

function firstOfEachKind(names, families, layout, rank) {
  const found = new Map();
  for (const name of names) {
    const family = layout.family(name);
    if (!family?.series.length || found.has(family.kind)) continue;
    const unit = unitIn(families, family);
    if (family.kind === 'gauge' && (unit === 'info' || unit === 'timestamp')) continue;
    const shown = shownByKind(name, family.kind);
    if (shown) found.set(family.kind, { title: titleOf(name), rank, ...shown });
  }
  return [...found.values()].slice(0, MOST_OF_A_GROUP);
}

function shownByKind(name, kind) {
  switch (kind) {
    case 'counter':
      return { shows: 'value', value: { read: 'rate', families: [name] } };
    case 'gauge':
      return { shows: 'value', value: { read: 'sum', families: [name] } };
    case 'histogram':
      return { shows: 'quantiles', family: name };
    default:
      return null;
  }
}

/** A name as words: `quoter_quotes_total` is `Quoter quotes`. */
function titleOf(name) {
  const words = name.replace(/_total$/, '').replace(/_(seconds|bytes|ratio|bps)$/, '').replaceAll('_', ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/**
 * A figure of the catalogue as a tile; null where it shows what is not known here.
 * @returns {Design|null}
 */
export function designOf(figure, context, layout) {
  const shown = SHOWS[figure.shows]?.(figure, (spec) => readingOf(spec, context, layout), context);
  if (!shown) return null;
  const facts = named(figure.facts, context, layout);
  const alarms = (figure.alarms ?? []).map((alarm) => alarmOf(alarm, context, layout)).filter(Boolean);
  const told = shown.facts ?? (() => []);
  // What is drawn is restricted to labels as the value is that it is drawn of.
  const read = figure.value ?? { families: [shown.needs] };
  return {
    isFromZero: !figure.zoomed,
    isHeadline: Boolean(figure.headline),
    values: () => [],
    lines: [],
    main: () => '',
    ...shown,
    id: figure.title,
    title: figure.title,
    facts: (history, now, scale) => [...told(history, now), ...facts.map(({ name, value }) => [name, value.text(history, scale)])],
    currency: ({ latest }) => currenciesAt(latest, read)[0],
    why: ({ latest }) => {
      if (isMoney(context.families.get(shown.needs), shown.unit) && currenciesAt(latest, read).length > 1) return 'several currencies have no sum';
      return APART.has(shown.unit) && processesAt(latest, read).length > 1 ? 'several processes have no sum' : 'no value yet';
    },
    isBad: (history) => alarms.some((alarm) => alarm(history)),
  };
}

/** What each kind of figure is as a tile; null where it cannot be read. */
const SHOWS = {
  value(figure, reading) {
    const value = reading(figure.value);
    if (!value) return null;
    // A gain or a loss: a signed number of which less is worse.
    const gain = figure.value.signed && figure.worse === 'down' ? (history) => value.at(history, last(history)) : undefined;
    return { needs: value.needs, ...charted(figure, value, reading), main: (history, _, scale) => value.text(history, scale), gain };
  },

  ratio(figure, reading) {
    const [part, whole] = [reading(figure.value), reading(figure.of)];
    if (!part || !whole) return null;
    const share = { unit: 'ratio', at: (history, index) => quotient(part.at(history, index), whole.at(history, index)) };
    const main = (history) => format(share.at(history, last(history)), 'ratio');
    return { needs: part.needs, ...charted(figure, share, reading), main };
  },

  bar(figure, reading) {
    const [value, limit] = [reading(figure.value), reading(figure.limit)];
    if (!value || !limit) return null;
    const share = (history) => quotient(value.at(history, last(history)), limit.at(history, last(history)));
    const main = (history) => `${value.text(history)} of ${limit.text(history)}`;
    return { needs: value.needs, ...charted(figure, value, reading), main, share };
  },

  quantiles({ family, levels }, reading) {
    const chosen = levels?.length ? levels : [0.5, 0.95, 0.99];
    const { unit } = reading({ read: 'quantile', families: [family], level: 0.5 });
    const lines = chosen.map((level, index) => ({ name: percentile(level), tone: toneOf(index, chosen.length) }));
    const middle = Math.floor(chosen.length / 2);
    const others = lines.map((_, index) => index).filter((index) => index !== middle);
    return {
      needs: family,
      unit,
      lines,
      values: (history, index) => quantiles(history, index, family, null, chosen),
      main: (_, now) => format(now[middle], unit),
      suffix: lines[middle].name,
      facts: (_, now) => others.map((index) => [lines[index].name, format(now[index], unit), lines[index].tone]),
    };
  },

  table(figure, reading) {
    const columns = (figure.columns ?? []).map(({ name, value }) => ({ name, value: reading(value), spec: value })).filter(({ value }) => value);
    if (columns.length === 0) return null;
    const rows = new Map();
    const cells = (key) => {
      const restricted = ({ spec }) => reading({ ...spec, labels: { ...spec.labels, [figure.by]: key } });
      if (!rows.has(key)) rows.set(key, columns.map(restricted));
      return rows.get(key);
    };
    const table = (history) => tableOf(history, figure, columns, cells);
    return { needs: columns[0].value.needs, unit: columns[0].value.unit, columns: columns.length, by: figure.by, table };
  },

  curve(figure, reading) {
    const [value, below] = [reading(figure.value), reading(figure.below)];
    if (!value || !below) return null;
    return {
      needs: value.needs,
      unit: value.unit,
      lines: [{ name: figure.title.toLowerCase(), tone: 'accent' }],
      values: (history, index) => [value.at(history, index)],
      main: (history, _, scale) => value.text(history, scale),
      isFromZero: false,
      below: { unit: below.unit, values: (history, index) => [below.at(history, index)], text: (history) => below.text(history) },
      marks: (figure.marks ?? []).map(({ name, family }) => ({ name, family })),
    };
  },

  bars(figure, reading, { gone }) {
    const [value, limit] = [reading(figure.value), reading(figure.limit)];
    if (!value || !limit) return null;
    const of = (spec, labels) => reading({ ...spec, labels: { ...spec.labels, ...labels } });
    const known = new Map();
    const bars = (history) => {
      // A limit is one of a process: what another one has left of its own is no room for it.
      const processes = processesAt(history.latest, figure.limit);
      const each = processes.length > 1 ? processes : [null];
      return keysOf(history.latest.layout, limit.families, figure.by).flatMap((key) =>
        each.map((process) => {
          const id = `${key}\n${process ?? ''}`;
          const labels = { [figure.by]: key, ...(process !== null && { [PROCESS]: process }) };
          if (!known.has(id)) known.set(id, [of(figure.value, labels), of(figure.limit, labels)]);
          const [used, allowed] = known.get(id);
          const share = quotient(used.at(history, last(history)), allowed.at(history, last(history)));
          const words = key.replaceAll('_', ' ');
          const name = process === null ? words : `${words} · ${process}`;
          const text = `${used.text(history)} of ${allowed.text(history)}`;
          return { name, text, share, isBad: share >= 1, isApart: process !== null, isGone: Boolean(gone?.has(process)) };
        }),
      );
    };
    return { needs: value.needs, unit: value.unit, bars };
  },

  steps({ steps }, reading) {
    const known = (steps ?? []).map(({ name, family }) => ({
      name,
      levels: [0.5, 0.99].map((level) => reading({ read: 'quantile', families: [family], level })),
    }));
    if (known.length === 0) return null;
    const read = (history) =>
      known.map(({ name, levels }) => ({
        name,
        values: levels.map((level) => level.at(history, last(history))),
        texts: levels.map((level) => level.text(history)),
      }));
    return { needs: steps[0].family, unit: known[0].levels[0].unit, steps: read };
  },

  events({ events }, reading) {
    if (!events?.length) return null;
    const { unit } = reading({ read: 'sum', families: [events[0].family] });
    return { needs: events[0].family, unit, events };
  },

  parts(figure, reading) {
    const value = reading(figure.value);
    if (!value) return null;
    const known = new Map();
    const parts = (history) => {
      const { layout } = history.latest;
      // Amounts of several currencies do not add up: each has parts of its own.
      const of = value.areAmounts ? currenciesAt(history.latest, figure.value) : [];
      const rows = (of.length > 1 ? of : [null]).flatMap((currency) =>
        keysOf(layout, value.families, figure.by).map((key) => {
          const id = `${key}\n${currency}`;
          const labels = { ...figure.value.labels, [figure.by]: key, ...(currency && { currency }) };
          if (!known.has(id)) known.set(id, reading({ ...figure.value, signed: true, labels }));
          const part = known.get(id);
          return { name: key, value: part.at(history, last(history)), text: part.text(history) };
        }),
      );
      // What is nothing is no part.
      return rows.filter(({ value }) => value !== 0 && !Number.isNaN(value));
    };
    return { needs: value.needs, unit: value.unit, main: (history, _, scale) => value.text(history, scale), parts };
  },

  log({ family, label }, reading) {
    const counted = reading({ read: 'sum', families: [family] });
    return { needs: family, unit: counted.unit, main: (history) => counted.text(history), log: { family, label } };
  },
};

/** One line: of what the figure shows, or of its trend. */
function charted(figure, value, reading) {
  const trend = figure.trend ? reading(figure.trend) : null;
  const fact = trend && (figure.facts ?? []).find((fact) => JSON.stringify(fact.value) === JSON.stringify(figure.trend));
  const drawn = trend ?? value;
  // Of events that are worse when there are more of them, every one is bad.
  const isBad = figure.worse === 'up' && drawn.unit === rateOf('count');
  const name = trend ? (fact?.name ?? 'trend') : figure.title.toLowerCase();
  const line = { name, tone: isBad ? 'bad' : 'accent', area: !figure.zoomed };
  return { unit: drawn.unit, lines: [line], values: (history, index) => [drawn.at(history, index)] };
}

function toneOf(index, count) {
  return TONES[Math.max(0, Math.min(TONES.length - 1, TONES.length - count + index))];
}

function tableOf(history, { by, worse }, columns, cells) {
  const { layout } = history.latest;
  const keys = new Set();
  for (const { value } of columns) {
    for (const name of value.families) {
      for (const { labels } of layout.family(name)?.series ?? []) keys.add(labelOf(labels, by));
    }
  }
  keys.delete(undefined);
  const lines = [...keys].map((key) => ({ key, cells: cells(key) }));
  if (lines.length > ROWS) {
    const weight = new Map(lines.map((line) => [line, line.cells[0].at(history, last(history))]));
    const order = worse === 'down' ? 1 : -1;
    const place = (line) => (Number.isNaN(weight.get(line)) ? Infinity : order * weight.get(line));
    lines.sort((a, b) => place(a) - place(b));
  }
  const shown = lines.slice(0, ROWS);
  return {
    heads: [by.replaceAll('_', ' '), ...columns.map(({ name }) => name)],
    rows: shown.map(({ key, cells: row }) => [key, ...row.map((cell) => cell.text(history))]),
    more: lines.length - shown.length,
  };
}

/** The values of a label among these families, in the order of their series. */
function keysOf(layout, families, by) {
  const keys = new Set();
  for (const name of families) {
    for (const { labels } of layout.family(name)?.series ?? []) keys.add(labelOf(labels, by));
  }
  keys.delete(undefined);
  return [...keys];
}

/** Increases of one kind that are no further apart than this, in seconds, are one event. */
const TOGETHER = 3;

/** How many events are kept: more than are shown. */
const MOST_EVENTS = 100;

/** Events from counters, newest first: the increases of each label's value. A process that began anew did nothing by that. */
export class Events {
  /** @type {{from: number, to: number, name: string, what: string, count: number}[]} */
  entries = [];
  #known = -Infinity;

  /** @param {{name: string, family: string, label: string}[]} kinds */
  constructor(kinds) {
    this.kinds = kinds;
  }

  /** @param {import('./history.js').History} history */
  extend({ snapshots }) {
    let index = snapshots.length;
    while (index > 1 && snapshots[index - 1].at > this.#known) index -= 1;
    for (; index < snapshots.length; index += 1) {
      const [from, to] = [snapshots[index - 1], snapshots[index]];
      if (!from || from.run !== to.run || to.at <= this.#known) continue;
      for (const kind of this.kinds) {
        for (const [what, count] of increasesBy(from, to, kind.family, kind.label)) this.#add(from.at, to.at, kind.name, what, count);
      }
    }
    this.#known = snapshots.at(-1)?.at ?? this.#known;
    this.entries.length = Math.min(this.entries.length, MOST_EVENTS);
  }

  #add(from, to, name, what, count) {
    const place = this.entries.findIndex((entry) => entry.name === name && entry.what === what);
    const before = this.entries[place];
    if (before && from - before.to <= TOGETHER) {
      this.entries.splice(place, 1);
      this.entries.unshift({ ...before, to, count: before.count + count });
    } else {
      this.entries.unshift({ from: to, to, name, what, count });
    }
  }
}

/** How much a counter rose between two snapshots, by the values of a label; only what rose. */
export function increasesBy(from, to, family, label) {
  const found = new Map();
  for (const series of to.layout.family(family)?.series ?? []) {
    const before = from.layout === to.layout ? series : from.layout.series(family, series.key);
    const count = increase(before ? from.values[before.at] : 0, to.values[series.at]);
    const what = labelOf(series.labels, label) ?? '';
    if (count > 0) found.set(what, (found.get(what) ?? 0) + count);
  }
  return found;
}

/** The latest increases of a counter, newest first. */
export class Log {
  entries = [];
  #known = -Infinity;

  /** @param {{family: string, label: string}} of */
  constructor({ family, label }) {
    this.family = family;
    this.label = label;
  }

  /** @param {import('./history.js').History} history */
  extend({ snapshots }) {
    for (let index = 1; index < snapshots.length; index += 1) {
      const [from, to] = [snapshots[index - 1], snapshots[index]];
      if (to.at <= this.#known || from.run !== to.run) continue;
      for (const [what, count] of increasesBy(from, to, this.family, this.label)) this.entries.unshift({ at: to.at, what, count });
    }
    this.#known = snapshots.at(-1)?.at ?? this.#known;
    this.entries.length = Math.min(this.entries.length, ROWS);
  }
}

const COMPARE = {
  above: (value, bound) => value > bound,
  at_least: (value, bound) => value >= bound,
  below: (value, bound) => value < bound,
  at_most: (value, bound) => value <= bound,
};

function alarmOf({ value, is, than }, context, layout) {
  const reading = readingOf(value, context, layout);
  const compare = COMPARE[is];
  return reading && compare ? (history) => reading.each(history).some((value) => compare(value, than)) : null;
}

function named(list, context, layout) {
  return (list ?? []).map(({ name, value }) => ({ name, value: readingOf(value, context, layout) })).filter(({ value }) => value);
}

/**
 * A reading of the catalogue: a number at each snapshot, and a text for the latest; null where it is of a kind not known here.
 * @returns {{needs: string|null, families: string[], unit: string, at: Function, each: Function, text: Function}|null} `each` is the latest
 *   number, or those of several processes where they have no sum
 */
export function readingOf(spec, context, layout) {
  const read = READ[spec?.read];
  if (!read) return null;
  const families = spec.families ?? [];
  const of = (snapshot) => seriesOf(snapshot.layout, families, spec.labels);
  const unit = unitOf(spec, context, layout);
  const areAmounts = COMBINES.has(spec.read) && isMoney(context.families.get(families[0]), unit);
  const isApart = spec.read === 'sum' && APART.has(unit);
  const parts = (snapshot) => {
    const found = of(snapshot);
    const apart = isApart ? byProcess(found) : [];
    if (apart.length > 1) return apart;
    return areAmounts ? partsOf(found, snapshot) : [{ found }];
  };
  const at = (history, index) => {
    const found = parts(history.snapshots[index]);
    return found.length > 1 ? NaN : read(history, index, found[0].found, spec);
  };
  const each = (history) => {
    const found = isApart ? parts(history.latest) : [];
    return found.length > 1 ? found.map(({ found: some }) => read(history, last(history), some, spec)) : [at(history, last(history))];
  };
  const text = (history, scale) => {
    const found = parts(history.latest);
    const isOne = found.length === 1;
    const texts = found.map(({ currency, found: some }) => textOf(read(history, last(history), some, spec), unit, spec, currency, isOne ? scale : null));
    const apart = [...new Set(texts)];
    const isCut = isApart && apart.length > MOST_APART;
    return (isCut ? [...apart.slice(0, MOST_APART), '…'] : apart).join(' · ');
  };
  return { needs: families[0] ?? null, families, unit, areAmounts, at, each, text };
}

/** Readings that make one number of those of several series, which there is none of for amounts of several currencies. */
const COMBINES = new Set(['sum', 'rate', 'least', 'most', 'quantile']);

/** What is found, apart by the currencies in which there is something; all of it where that is one, or none. */
function partsOf(found, snapshot) {
  const apart = amounts(found.flatMap(({ series }) => series), snapshot);
  if (apart.size === 0) return [{ found }];
  return [...apart].map(([currency, some]) => ({ currency, found: restricted(found, new Set(some)) }));
}

/** What is found, apart by the processes that it is of: one of a service that shows itself. */
function byProcess(found) {
  const apart = new Map();
  for (const one of found.flatMap(({ series }) => series)) {
    const process = labelOf(one.labels, PROCESS);
    if (!apart.has(process)) apart.set(process, new Set());
    apart.get(process).add(one);
  }
  return [...apart.values()].map((some) => ({ found: restricted(found, some) }));
}

function restricted(found, some) {
  const kept = found.map(({ name, series }) => ({ name, series: series.filter((one) => some.has(one)) }));
  return kept.filter(({ series }) => series.length > 0).map((one) => ({ ...one, keys: one.series.map(({ key }) => key) }));
}

/** Each takes the series of every family that there is, and gives a number; where they say a word, that. */
const READ = {
  sum: ({ snapshots }, index, found) => sum(found, ({ name, keys }) => total(snapshots[index], name, keys)),
  least: ({ snapshots }, index, found) => extreme(snapshots[index], found, (a, b) => a < b)?.value ?? NaN,
  most: ({ snapshots }, index, found) => extreme(snapshots[index], found, (a, b) => a > b)?.value ?? NaN,
  rate: (history, index, found) => sum(found, ({ name, keys }) => rate(history, index, name, keys)),
  series: (_, __, found) => (found.length ? found.reduce((count, { series }) => count + series.length, 0) : NaN),
  quantile: (history, index, found, { level }) => (found.length ? quantileOf(history, index, found[0], level) : NaN),
  where_least: ({ snapshots }, index, found, { label }) => wordOf(extreme(snapshots[index], found, (a, b) => a < b), label),
  where_most: ({ snapshots }, index, found, { label }) => wordOf(extreme(snapshots[index], found, (a, b) => a > b), label),
  constant: (_, __, ___, { number }) => number,
};

/** Those families that have series with these labels. */
function seriesOf(layout, families, labels) {
  const wanted = Object.entries(labels ?? {});
  const is = ({ labels: own }) => wanted.every(([key, value]) => labelOf(own, key) === value);
  const found = families.map((name) => ({ name, series: (layout.family(name)?.series ?? []).filter(is) }));
  const there = found.filter(({ series }) => series.length > 0);
  return there.map((one) => ({ ...one, keys: one.series.map(({ key }) => key) }));
}

/** What is not there adds nothing; a sum of nothing is undefined. */
function sum(found, value) {
  return found.length ? found.reduce((sum, one) => sum + value(one), 0) : NaN;
}

function extreme(snapshot, found, isBetter) {
  let best = null;
  for (const { at, labels } of found.flatMap(({ series }) => series)) {
    const value = snapshot.values[at];
    if (!Number.isNaN(value) && (!best || isBetter(value, best.value))) best = { value, labels };
  }
  return best;
}

function wordOf(found, label) {
  return (found && labelOf(found.labels, label)?.replaceAll('_', ' ')) ?? '–';
}

function quantileOf(history, index, { name, keys }, level) {
  const from = history.snapshots[history.since(index, QUANTILE_WINDOW)];
  const to = history.snapshots[index];
  if (from === to) return NaN;
  const { bounds, counts } = bucketIncreases(from, to, name, keys);
  return quantile(level, bounds, counts);
}

/** The currencies in which a reading's series have something. */
function currenciesAt(snapshot, { families = [], labels }) {
  return partsOf(seriesOf(snapshot.layout, families, labels), snapshot).map(({ currency }) => currency);
}

/** The processes of an agent that a reading's series are of. */
function processesAt({ layout }, { families = [], labels }) {
  const found = seriesOf(layout, families, labels).flatMap(({ series }) => series);
  return [...new Set(found.map(({ labels: own }) => labelOf(own, PROCESS)))].filter((process) => process !== undefined);
}

function textOf(value, unit, { signed }, currency, scale) {
  if (typeof value === 'string') return value;
  const text = scale === null ? amountText(value, unit, currency) : format(value, unit, { currency, scale });
  return signed && value > 0 ? `+${text}` : text;
}

function unitOf({ read, families = [] }, context, layout) {
  if (read === 'series' || read === 'constant' || families.length === 0) return 'count';
  const family = layout.family(families[0]) ?? { name: families[0], kind: context.families.get(families[0])?.kind };
  const unit = unitIn(context.families, family);
  if (read === 'rate') return rateOf(unit);
  // How many of them are on.
  return read === 'sum' && unit === '0 or 1' ? 'count' : unit;
}

function unitIn(families, { name, kind }) {
  return families.get(name)?.unit ?? unitOfName(name, kind);
}

function quotient(part, whole) {
  return whole === 0 ? NaN : part / whole;
}

function last({ snapshots }) {
  return snapshots.length - 1;
}
