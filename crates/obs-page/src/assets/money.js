// Amounts of money: those of several currencies have no sum, but each currency has one.

import { format, labelOf, rateOf } from './format.js';

/**
 * Whether numbers are amounts, where their series have currencies: by their declaration, or for want of one.
 * @param {{unit: string}|undefined} declared
 * @param {string} unit as it is shown: of a counter that of its rate
 */
export function isMoney(declared, unit) {
  return !declared || ['currency', 'number', rateOf('currency'), rateOf('number')].includes(unit);
}

/** An amount as text, beside those of other currencies. */
export function amountText(value, unit, currency, more) {
  if (currency && Number.isNaN(value)) return `${currency} –`;
  const text = format(value, unit, { ...more, currency });
  return !currency || unit.startsWith('currency') ? text : `${text} ${currency}`;
}

/**
 * Series by their currency, in the order in which the process lists them. What has no currency is of the one named `undefined`.
 * @param {import('./exposition.js').Series[]} series
 * @returns {Map<string|undefined, import('./exposition.js').Series[]>}
 */
export function byCurrency(series) {
  const found = new Map();
  for (const one of series) {
    const currency = labelOf(one.labels, 'currency');
    if (!found.has(currency)) found.set(currency, []);
    found.get(currency).push(one);
  }
  return found;
}

/**
 * The same of those currencies only in which there is something at a snapshot: nothing of another currency adds nothing.
 * @param {import('./exposition.js').Series[]} series
 * @param {import('./history.js').Snapshot} snapshot of the layout that has these series
 */
export function amounts(series, snapshot) {
  const found = byCurrency(series);
  if (found.size <= 1) return found;
  const says = ({ at, count }) => snapshot.values[at ?? count] !== 0;
  return new Map([...found].filter(([, some]) => some.some(says)));
}
