// Numbers as people read them: the catalogue's unit, three digits that matter, the same width from one second to the next.

/** Stands for what is undefined. */
export const UNDEFINED = '–';

/** Between a number and its unit: narrow, and never broken. */
const GAP = '\u202f';

const SUFFIXES = [
  ['_timestamp_seconds', 'timestamp'],
  ['_seconds', 'seconds'],
  ['_bytes', 'bytes'],
  ['_ratio', 'ratio'],
  ['_bps', 'basis points'],
  ['_info', 'info'],
];

/** The unit that a name tells, for families that no catalogue knows. */
export function unitOfName(name, kind) {
  const base = name.replace(/_total$/, '');
  const known = SUFFIXES.find(([suffix]) => base.endsWith(suffix));
  return known ? known[1] : kind === 'counter' || kind === 'gauge' ? 'count' : 'number';
}

/** The name of a quantile. */
export function percentile(q) {
  return `p${Number((q * 100).toFixed(3))}`;
}

/** The value that a label has among these. */
export function labelOf(labels, wanted) {
  return labels.find(([name]) => name === wanted)?.[1];
}

/** How the rate of a counter of this unit is shown. */
export function rateOf(unit) {
  // Seconds a second are a share: of one processor, of one worker.
  return unit === 'seconds' ? 'ratio' : `${unit}/s`;
}

/** Of the mean length in the Gregorian calendar, as a span of years is meant. */
const YEAR = 31_556_952;

const TIMES = [
  [YEAR, 'y'],
  [86400, 'd'],
  [3600, 'h'],
  [60, 'min'],
  [1, 's'],
  [1e-3, 'ms'],
  [1e-6, 'µs'],
  [1e-9, 'ns'],
];
const SIZES = [
  [2 ** 40, 'TiB'],
  [2 ** 30, 'GiB'],
  [2 ** 20, 'MiB'],
  [2 ** 10, 'KiB'],
  [1, 'B'],
];
const COUNTS = [
  [1e12, 'T'],
  [1e9, 'G'],
  [1e6, 'M'],
  [1, ''],
];
/** As people abbreviate amounts of money. */
const AMOUNTS = [
  [1e12, 'T'],
  [1e9, 'B'],
  [1e6, 'M'],
  [1e3, 'K'],
  [1, ''],
];

/**
 * The factor and the sign with which values up to `most` are shown.
 * @returns {[number, string]}
 */
export function scaleOf(unit, most) {
  const size = Math.abs(most);
  const fit = (steps) => steps.find(([step]) => size >= step * 0.9995) ?? steps.at(-1);
  switch (unit) {
    case 'seconds':
      return size === 0 ? [1, 's'] : fit(TIMES);
    case 'bytes':
      return fit(SIZES);
    case 'bytes/s': {
      const [step, sign] = fit(SIZES);
      return [step, `${sign}/s`];
    }
    case 'ratio':
      return size < 1000 ? [0.01, '%'] : multipleOf(size, 1);
    case 'basis points':
      return size < 1e5 ? [1, 'bp'] : multipleOf(size, 1e4);
    case 'currency':
      return fit(AMOUNTS);
    case 'count':
    case 'number':
    case 'info':
    case '0 or 1':
    case 'timestamp':
      return fit(COUNTS);
    default:
      // Rates of whatever is counted. Below one a second they are given by the minute.
      return size > 0 && size < 0.995 ? BY_MINUTE : [fit(COUNTS)[0], `${fit(COUNTS)[1]}/s`];
  }
}

/** What is many times the whole is read as a multiple of it. */
function multipleOf(size, whole) {
  const [step, sign] = COUNTS.find(([step]) => size >= step * whole * 0.9995) ?? COUNTS.at(-1);
  return [step * whole, `${sign}×`];
}

const BY_MINUTE = [1 / 60, '/min'];

/** The scale of one value. A rate over an axis is by the minute where the axis is, and by the second where that is. */
function scaleOfOne(value, unit, axis) {
  const own = scaleOf(unit, value);
  if (!axis || unit === 'bytes/s' || !unit.endsWith('/s')) return own;
  if (axis[1] === BY_MINUTE[1]) return BY_MINUTE;
  return own === BY_MINUTE ? [1, '/s'] : own;
}

/**
 * A value with its unit.
 * @param {number|null} value
 * @param {string} unit a word of the catalogue, or that and `/s`
 * @param {{currency?: string, scale?: [number, string]}} [more] `scale` is the one of the axis beside it
 */
export function format(value, unit, more = {}) {
  if (value === null || value === undefined || Number.isNaN(value)) return UNDEFINED;
  if (!Number.isFinite(value)) return value > 0 ? '∞' : '−∞';
  if (unit === 'timestamp') return moment(value);
  if (unit === '0 or 1') return value === 1 ? 'yes' : value === 0 ? 'no' : digits(value, true);
  if (unit === 'currency') return money(value, more.currency);
  if (unit === 'seconds' && Math.abs(value) >= 60) return span(value);
  const [step, sign] = scaleOfOne(value, unit, more.scale);
  const isWhole = COUNTED.has(unit) || sign === 'B';
  return join(digits(value / step, isWhole), sign);
}

/**
 * The same for the marks of an axis, which share one scale and have the decimals that tell neighbours apart.
 * @param {number[]} ticks
 * @param {{currency?: string, scale?: [number, string]}} [more] `scale` is the one that their step was chosen in
 */
export function formatTicks(ticks, unit, more = {}) {
  const [step, sign] = more.scale ?? scaleOf(unit, Math.max(...ticks.map(Math.abs)));
  const places = placesOf(ticks, step);
  return ticks.map((tick) => {
    if (unit === 'timestamp') return moment(tick);
    if (unit === 'currency') return amount(tick / step, sign, places, more.currency);
    return tick === 0 ? '0' : join(fixed(tick / step, places), sign);
  });
}

/** A bound of a bucket, which is a round number: no more digits than it has. */
export function formatBound(bound, unit, more = {}) {
  if (bound === 0) return '0';
  if (!Number.isFinite(bound) || unit === 'timestamp') return format(bound, unit, more);
  const [step, sign] = scaleOf(unit, bound);
  if (unit === 'currency') return amount(bound / step, sign, placesOf([0, bound], step), more.currency);
  return join(String(Number((bound / step).toPrecision(3))).replace('-', '−'), sign);
}

/** As many decimals as a number has that is worth reading. */
const MOST_PLACES = 12;

/** How many decimals neighbouring ticks need to differ. */
function placesOf(ticks, step) {
  const distance = ticks.length > 1 ? Math.abs(ticks[1] - ticks[0]) / step : 1;
  const isWhole = (places) => {
    const whole = Math.round(distance * 10 ** places);
    return whole >= 1 && Math.abs(distance * 10 ** places - whole) < 1e-6;
  };
  return Array.from({ length: MOST_PLACES }, (_, places) => places).find(isWhole) ?? MOST_PLACES;
}

function join(number, sign) {
  if (sign === '') return number;
  return sign.startsWith('/') ? number + sign : number + GAP + sign;
}

/** Units of what comes in whole numbers, most of the time. */
const COUNTED = new Set(['count', 'number', 'info', '0 or 1']);

/** Three digits that matter, and always the decimals that this takes, so that the text keeps its width. */
function digits(value, isWhole) {
  const size = Math.abs(value);
  if (size === 0 || (isWhole && Number.isInteger(value) && size < 1e6)) return grouped(value, 0);
  if (size >= 99.95) return grouped(value, 0);
  if (size >= 9.995) return grouped(value, 1);
  if (size >= 0.00995) return grouped(value, 2);
  return value.toPrecision(2).replace('-', '−').replace(/e−?-?(\d+)$/, 'e−$1');
}

function fixed(value, places) {
  return grouped(Object.is(Math.round(value * 10 ** places), -0) ? 0 : value, places);
}

/** Making one takes longer than using it a hundred times. */
const formats = new Map();
const MOST_FORMATS = 200;

function grouped(value, places, currency = '') {
  const id = `${places}${currency}`;
  let known = formats.get(id);
  if (!known) {
    const style = currency ? { style: 'currency', currency } : {};
    known = new Intl.NumberFormat('en-US', { ...style, minimumFractionDigits: places, maximumFractionDigits: places });
    if (formats.size >= MOST_FORMATS) formats.clear();
    formats.set(id, known);
  }
  return known.format(value).replace('-', '−');
}

/** A time span of a minute and more, in its two largest units. */
export function span(seconds) {
  const sign = seconds < 0 ? '−' : '';
  let rest = Math.round(Math.abs(seconds));
  const parts = [];
  for (const [size, name] of TIMES.slice(0, 5)) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count || parts.length) parts.push(`${count}${GAP}${name}`);
    if (parts.length === 2) break;
  }
  return parts.length ? sign + parts.join(' ') : `0${GAP}s`;
}

const two = (number) => String(number).padStart(2, '0');

/** A time of day, of today, or the date of any other. */
export function moment(seconds) {
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) return UNDEFINED;
  if (date.toDateString() === new Date().toDateString()) return clock(seconds);
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

/** A point in time, and how long ago that is where it is not long. */
export function momentAndAge(seconds, now) {
  const age = now - seconds;
  return age >= 0 && age < 86400 ? `${moment(seconds)}, ${span(age)} ago` : moment(seconds);
}

/** A time of day. */
export function clock(seconds) {
  const date = new Date(seconds * 1000);
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

function money(value, currency) {
  const places = Math.abs(value) < 1000 ? 2 : 0;
  return amount(value, '', places, currency);
}

/** An amount of money in thousands or millions, where `sign` says so. */
function amount(value, sign, places, currency) {
  const known = /^[A-Z]{3}$/.test(currency ?? '') ? currency : '';
  return grouped(Object.is(value, -0) ? 0 : value, places, known) + (value === 0 ? '' : sign);
}

/**
 * A round step of about this size, no smaller: in the scale that is printed, by tens; of bytes by powers of two.
 * @param {number} size
 * @param {string} unit
 * @param {[number, string]} scale
 */
export function stepOf(size, unit, [factor]) {
  const wanted = (size / factor) * 0.999;
  if (unit === 'bytes' || unit === 'bytes/s') return 2 ** Math.ceil(Math.log2(Math.max(wanted, factor === 1 ? 1 : 0))) * factor;
  const power = 10 ** Math.floor(Math.log10(wanted));
  const digit = [1, 2, 2.5, 5, 10].find((digit) => digit * power >= wanted) ?? 10;
  return digit * power * factor;
}
