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

const TIMES = [
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

/**
 * The factor and the sign with which values up to `most` are shown.
 * @returns {[number, string]}
 */
function scaleFor(unit, most) {
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
      return [0.01, '%'];
    case 'basis points':
      return [1, 'bp'];
    case 'count':
    case 'number':
    case 'info':
    case '0 or 1':
    case 'timestamp':
    case 'currency':
      return fit(COUNTS);
    default:
      // Rates of whatever is counted. Below one a second they are given by the minute.
      return size > 0 && size < 0.995 ? [1 / 60, '/min'] : [fit(COUNTS)[0], `${fit(COUNTS)[1]}/s`];
  }
}

/**
 * A value with its unit.
 * @param {number|null} value
 * @param {string} unit a word of the catalogue, or that and `/s`
 * @param {{currency?: string}} [more]
 */
export function format(value, unit, more = {}) {
  if (value === null || value === undefined || Number.isNaN(value)) return UNDEFINED;
  if (!Number.isFinite(value)) return value > 0 ? '∞' : '−∞';
  if (unit === 'timestamp') return moment(value);
  if (unit === '0 or 1') return value === 1 ? 'yes' : value === 0 ? 'no' : digits(value, true);
  if (unit === 'currency') return money(value, more.currency);
  if (unit === 'seconds' && Math.abs(value) >= 60) return span(value);
  const [step, sign] = scaleFor(unit, value);
  const isWhole = COUNTED.has(unit) || sign === 'B';
  return join(digits(value / step, isWhole), sign);
}

/** The same for the marks of an axis, which share one scale. */
export function formatTicks(ticks, unit, more = {}) {
  let [step, sign] = scaleFor(unit, Math.max(...ticks.map(Math.abs)));
  let places = placesOf(ticks, step);
  if (places > 2) {
    // Thirds of a minute are better told in seconds.
    [step, sign] = scaleFor(unit, ticks[1] - ticks[0]);
    places = placesOf(ticks, step);
  }
  return ticks.map((tick) => {
    if (tick === 0 && unit !== 'currency') return '0';
    if (unit === 'timestamp') return moment(tick);
    if (unit === 'currency') return money(tick, more.currency, true);
    return join(fixed(tick / step, places), sign);
  });
}

/** A bound of a bucket, which is a round number: no more digits than it has. */
export function formatBound(bound, unit, more = {}) {
  if (bound === 0) return '0';
  if (!Number.isFinite(bound) || unit === 'timestamp') return format(bound, unit, more);
  if (unit === 'currency') return money(bound, more.currency, true);
  const [step, sign] = scaleFor(unit, bound);
  return join(String(Number((bound / step).toPrecision(3))).replace('-', '−'), sign);
}

/** How many decimals neighbouring ticks need to differ. */
function placesOf(ticks, step) {
  const distance = ticks.length > 1 ? Math.abs(ticks[1] - ticks[0]) / step : 1;
  const isWhole = (places) => Math.abs(distance * 10 ** places - Math.round(distance * 10 ** places)) < 1e-6;
  return [0, 1, 2, 3, 4, 5].find(isWhole) ?? 6;
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

const formats = new Map();
function grouped(value, places) {
  let known = formats.get(places);
  if (!known) {
    known = new Intl.NumberFormat('en-US', { minimumFractionDigits: places, maximumFractionDigits: places });
    formats.set(places, known);
  }
  return known.format(value).replace('-', '−');
}

/** A time span of a minute and more, in its two largest units. */
export function span(seconds) {
  const sign = seconds < 0 ? '−' : '';
  let rest = Math.round(Math.abs(seconds));
  const parts = [];
  for (const [size, name] of TIMES.slice(0, 4)) {
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

function money(value, currency, brief = false) {
  const size = Math.abs(value);
  const style = { minimumFractionDigits: size < 1000 ? 2 : 0, maximumFractionDigits: size < 1000 ? 2 : 0 };
  if (brief) Object.assign(style, { notation: 'compact', minimumFractionDigits: 0, maximumSignificantDigits: 4 });
  if (/^[A-Z]{3}$/.test(currency ?? '')) Object.assign(style, { style: 'currency', currency });
  if (brief) delete style.maximumFractionDigits;
  return new Intl.NumberFormat('en-US', style).format(value).replace('-', '−');
}

/** A round step of about this size, in the scale that values up to `most` are shown with. */
export function stepOf(size, unit, most) {
  const [scale] = scaleFor(unit, most);
  const wanted = size / scale;
  const power = 10 ** Math.floor(Math.log10(wanted));
  const digit = [1, 2, 2.5, 5, 10].find((digit) => digit * power >= wanted * 0.999) ?? 10;
  return digit * power * scale;
}
