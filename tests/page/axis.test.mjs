// What axes show: round marks in the printed scale, every one of which has room and says what is there.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { axisOf, marksOf, textsOf } from '../../crates/obs-page/src/assets/axis.js';

const plain = (text) => text.replaceAll('\u202f', ' ');

/** Ten signs are what the page has room for, about. */
const fits = (text) => text.length <= 10;

/** What a text of an axis says, in the base unit. */
function read(text, unit) {
  const SIGNS = {
    '': 1, s: 1, ms: 1e-3, 'µs': 1e-6, ns: 1e-9, min: 60, h: 3600, d: 86400, y: 31_556_952, '%': 0.01, bp: 1,
    B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40, '/s': 1, '/min': 1 / 60,
    'B/s': 1, 'KiB/s': 2 ** 10, 'MiB/s': 2 ** 20, 'GiB/s': 2 ** 30, 'TiB/s': 2 ** 40,
    K: 1e3, M: 1e6, G: 1e9, T: 1e12, 'M/s': 1e6, 'G/s': 1e9, 'T/s': 1e12,
  };
  const found = /^(−?)\$?([\d.,]+)\s?(.*)$/.exec(plain(text).replace('−$', '−'));
  assert.ok(found, text);
  const [, sign, number, suffix] = found;
  const whole = unit === 'basis points' ? 1e4 : 1;
  if (unit === 'currency') SIGNS.B = 1e9;
  const size = suffix.endsWith('×') ? SIGNS[suffix.slice(0, -1)] * whole : SIGNS[suffix];
  assert.ok(size, text);
  return (sign ? -1 : 1) * Number(number.replaceAll(',', '')) * size;
}

/** Numbers that look random and are the same each time. */
function* numbers(seed) {
  for (let state = seed; ; ) {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    yield state / 2 ** 31;
  }
}

test('a gauge of memory has marks of whole powers of two', () => {
  const range = axisOf(1_043_000, 1_044_500, 'bytes', null, { fits });
  assert.deepEqual(textsOf(range, 'bytes').map(plain), ['1,018 KiB', '1,019 KiB', '1,020 KiB', '1,021 KiB']);
  const whole = axisOf(0, 700_000, 'bytes', null, { fits });
  assert.deepEqual(textsOf(whole, 'bytes').map(plain), ['0', '256 KiB', '512 KiB', '768 KiB']);
});

test('money has marks that are what they say', () => {
  const range = axisOf(978_100, 978_900, 'currency', null, { fits, more: { currency: 'USD' } });
  for (const [index, text] of textsOf(range, 'currency', { currency: 'USD' }).entries()) {
    assert.equal(read(text, 'currency'), marksOf(range)[index], text);
  }
});

test('every mark is true, has room and differs from its neighbours', () => {
  const random = numbers(7);
  const next = () => random.next().value;
  for (const unit of ['seconds', 'bytes', 'bytes/s', 'ratio', 'count', 'count/s', 'basis points', 'number', 'currency']) {
    for (let round = 0; round < 400; round += 1) {
      const size = 10 ** (next() * 14 - 4);
      const low = next() < 0.3 ? -size * next() : next() < 0.5 ? size : 0;
      const high = low + size * (next() < 0.3 ? next() / 1e5 : next());
      const more = { currency: 'USD' };
      const range = axisOf(low, high, unit, null, { fits, more });
      const hair = range.step * 1e-8;
      assert.ok(range.min <= low + hair && range.max >= high - hair, `${unit} ${low} ${high}`);
      const marks = marksOf(range);
      const texts = textsOf(range, unit, more);
      assert.ok(marks.length >= 2 && marks.length <= 6, `${unit} ${low} ${high}: ${texts}`);
      assert.equal(new Set(texts).size, texts.length, `${unit} ${low} ${high}: ${texts}`);
      for (const [index, text] of texts.entries()) {
        assert.ok(fits(text), `${unit} ${low} ${high}: ${texts}`);
        const error = Math.abs(read(text, unit) - marks[index]);
        assert.ok(error <= range.step * 1e-6, `${unit} ${low} ${high}: ${text} is ${marks[index]}`);
      }
    }
  }
});

test('an axis stays where it is until it no longer fits', () => {
  const before = axisOf(0, 90, 'count', null);
  assert.equal(axisOf(0, 70, 'count', before), before);
  assert.notEqual(axisOf(0, 120, 'count', before), before);
  assert.notEqual(axisOf(0, 9, 'count', before), before);
});

test('nothing is marked where there is nothing', () => {
  assert.deepEqual(marksOf(axisOf(Infinity, -Infinity, 'count', null)), []);
});
