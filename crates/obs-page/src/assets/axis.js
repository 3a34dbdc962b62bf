// What an axis shows: its range, its marks and their texts. The marks are round in the scale that is printed, and every text has room.

import { formatTicks, scaleOf, stepOf } from './format.js';

/** Without values there is nothing to mark. */
const EMPTY = { min: 0, max: 1, step: 0.5, isEmpty: true };

/**
 * @typedef {Object} Range
 * @property {number} min
 * @property {number} max
 * @property {number} step between marks; both ends are one
 * @property {[number, string]} [scale] the factor and the sign of every text
 * @property {boolean} [isEmpty]
 */

/**
 * The range of an axis for values from `min` to `max`: it stays what it was as long as that fits, so that lines do not jump.
 * @param {number} min
 * @param {number} max
 * @param {string} unit
 * @param {Range|null} before
 * @param {{fromZero?: boolean, fits?: (text: string) => boolean, more?: {currency?: string}}} options `fromZero` always shows 0;
 *   `fits` says whether there is room for a text
 * @returns {Range}
 */
export function axisOf(min, max, unit, before, { fromZero = false, fits = () => true, more = {} } = {}) {
  if (unit === '0 or 1') return { min: 0, max: 1, step: 1, scale: [1, ''] };
  if (min > max) return EMPTY;
  if (fromZero || max === min || min < 0 || max - min > max / 4) {
    min = Math.min(min, 0);
    max = Math.max(max, 0);
  }
  if (max === min) return { min: 0, max: 1, step: 0.5, scale: [1, ''] };
  let range = rangeOver(min, max, unit, scaleOf(unit, Math.max(max, -min)), (max - min) / 3);
  // The end of the axis may be a whole one of the next larger unit.
  range = rangeOver(min, max, unit, scaleOf(unit, Math.max(range.max, -range.min)), (max - min) / 3);
  // Fewer digits have room; a whole step beyond all values would have more of them again.
  const most = Math.max(max, -min, range.scale[0]);
  while (range.step < most && !textsOf(range, unit, more).every(fits)) {
    range = rangeOver(min, max, unit, range.scale, range.step * 1.5);
  }
  const holds = before && !before.isEmpty && before.min <= range.min && before.max >= range.max;
  return holds && range.max - range.min > 0.45 * (before.max - before.min) ? before : range;
}

function rangeOver(min, max, unit, scale, size) {
  const step = stepOf(size, unit, scale);
  // What is off by the last digit of a float is on the mark; and there is at least one step.
  const first = Math.floor(min / step + 1e-9);
  const last = Math.max(Math.ceil(max / step - 1e-9), first + 1);
  return { min: first * step, max: last * step, step, scale };
}

/**
 * Where the marks are.
 * @param {Range} range
 */
export function marksOf({ min, max, step, isEmpty }) {
  if (isEmpty) return [];
  const count = Math.round((max - min) / step);
  const every = count > 4 ? 2 : 1;
  return Array.from({ length: Math.floor(count / every) + 1 }, (_, index) => min + index * every * step);
}

/** The texts of its marks. */
export function textsOf(range, unit, more) {
  return formatTicks(marksOf(range), unit, { ...more, scale: range.scale });
}
