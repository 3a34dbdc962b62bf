// How the page writes numbers.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { format, formatBound, formatTicks, rateOf, scaleOf, span, stepOf, unitOfName } from '../../crates/obs-page/src/assets/format.js';

/** Narrow blanks as plain ones. */
const plain = (text) => text.replaceAll('\u202f', ' ');

test('values have the unit of the catalogue', () => {
  for (const [value, unit, expected] of [
    [0, 'seconds', '0 s'],
    [0.0000123, 'seconds', '12.3 µs'],
    [0.00123, 'seconds', '1.23 ms'],
    [0.9999, 'seconds', '1.00 s'],
    [59.94, 'seconds', '59.9 s'],
    [754.2, 'seconds', '12 min 34 s'],
    [-90000, 'seconds', '−1 d 1 h'],
    [1536, 'bytes', '1.50 KiB'],
    [29_465_804, 'bytes', '28.1 MiB'],
    [0.1234, 'ratio', '12.3 %'],
    [-0.0002, 'ratio', '−0.02 %'],
    [1, 'ratio', '100 %'],
    [-2.5, 'basis points', '−2.50 bp'],
    [1234, 'count', '1,234'],
    [1_234_567, 'count', '1.23 M'],
    [3, '0 or 1', '3'],
    [1, '0 or 1', 'yes'],
    [0, '0 or 1', 'no'],
    [0.456, 'number', '0.46'],
    [2.5, 'count/s', '2.50/s'],
    [0.5, 'count/s', '30.0/min'],
    [0.000048, 'seconds', '48.0 µs'],
    [512, 'bytes', '512 B'],
    [0, 'count/s', '0/s'],
    [2048, 'bytes/s', '2.00 KiB/s'],
  ]) {
    assert.equal(plain(format(value, unit)), expected, `${value} ${unit}`);
  }
});

test('money has its currency, and cents where they matter', () => {
  const dollars = { currency: 'USD' };
  assert.equal(format(978526.12, 'currency', dollars), '$978,526');
  assert.equal(format(-13.5, 'currency', dollars), '−$13.50');
  assert.equal(format(5, 'currency', { currency: 'not one' }), '5.00');
  assert.deepEqual(formatTicks([-50000, 0, 50000], 'currency', dollars), ['−$50K', '$0', '$50K']);
});

test('what is undefined is never 0', () => {
  for (const unit of ['seconds', 'bytes', 'ratio', 'count', 'currency', 'timestamp', '0 or 1', 'count/s']) {
    assert.equal(format(NaN, unit), '–', unit);
    assert.equal(format(null, unit), '–', unit);
  }
  assert.equal(format(Infinity, 'ratio'), '∞');
  assert.equal(format(-Infinity, 'count'), '−∞');
});

test('neighbouring ticks differ, and share a scale', () => {
  assert.deepEqual(formatTicks([0, 2.5, 5, 7.5], 'count/s').map(plain), ['0', '2.5/s', '5.0/s', '7.5/s']);
  assert.deepEqual(formatTicks([0, 0.0005, 0.001], 'seconds').map(plain), ['0', '0.5 ms', '1.0 ms']);
  assert.deepEqual(formatTicks([0, 20, 40], 'seconds').map(plain), ['0', '20 s', '40 s']);
  assert.deepEqual(formatTicks([0, 0.05, 0.1], 'ratio').map(plain), ['0', '5 %', '10 %']);
});

test('steps are round in the scale that is shown', () => {
  const step = (size, unit, most) => stepOf(size, unit, scaleOf(unit, most));
  assert.equal(step(0.3, 'count', 1), 0.5);
  assert.equal(step(700, 'bytes', 2048), 1024);
  assert.equal(step(0.3, 'bytes', 200), 1);
  assert.equal(step(0.0003, 'seconds', 0.001), 0.0005);
  assert.equal(step(80, 'seconds', 240), 120);
});

test('a rate is given as its axis is', () => {
  const [bySecond, byMinute] = [scaleOf('count/s', 2), scaleOf('count/s', 0.5)];
  assert.equal(plain(format(0.34, 'count/s', { scale: bySecond })), '0.34/s');
  assert.equal(plain(format(2, 'count/s', { scale: byMinute })), '120/min');
  assert.equal(plain(format(0, 'count/s', { scale: byMinute })), '0/min');
  assert.equal(plain(format(0.002, 'seconds', { scale: scaleOf('seconds', 2) })), '2.00 ms');
});

test('long spans are in years', () => {
  assert.equal(plain(span(25 * 31_556_952 + 90_000)), '25 y 1 d');
  assert.equal(plain(format(86_400 * 400, 'seconds')), '1 y 34 d');
});

test('bounds have no more digits than they need', () => {
  assert.equal(plain(formatBound(0.00001, 'seconds')), '10 µs');
  assert.equal(plain(formatBound(0.0025, 'seconds')), '2.5 ms');
  assert.equal(plain(formatBound(345600, 'seconds')), '4 d');
  assert.equal(plain(formatBound(65536, 'bytes')), '64 KiB');
  assert.equal(formatBound(Infinity, 'seconds'), '∞');
  assert.equal(formatBound(0, 'bytes'), '0');
});

test('names tell the unit where no catalogue does', () => {
  assert.equal(unitOfName('x_seconds_total', 'counter'), 'seconds');
  assert.equal(unitOfName('x_timestamp_seconds', 'gauge'), 'timestamp');
  assert.equal(unitOfName('x_bytes', 'histogram'), 'bytes');
  assert.equal(unitOfName('x_total', 'counter'), 'count');
  assert.equal(unitOfName('x', 'summary'), 'number');
  assert.equal(rateOf('seconds'), 'ratio');
  assert.equal(rateOf('bytes'), 'bytes/s');
});
