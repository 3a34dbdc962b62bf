// The page's reader of the text format.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ExpositionError, Reader } from '../../crates/obs-page/src/assets/exposition.js';

const read = (text) => new Reader().read(text);

test('families have their kind, help and series', () => {
  const { families, values } = read(
    '# HELP orders_total Orders \\\\ sent\\nto the venue.\n# TYPE orders_total counter\n' +
      'orders_total{venue="paper",side="buy"} 3\norders_total{venue="paper",side="sell"} 4.5e1\n' +
      '\n# TYPE up gauge\nup 1\n# a remark\nuntold{} 2 1700000000000\n',
  );
  assert.deepEqual(
    families.map(({ name, kind }) => [name, kind]),
    [['orders_total', 'counter'], ['up', 'gauge'], ['untold', 'untyped']],
  );
  assert.equal(families[0].help, 'Orders \\ sent\nto the venue.');
  assert.deepEqual(families[0].series[1].labels, [['venue', 'paper'], ['side', 'sell']]);
  assert.deepEqual([...values], [3, 45, 1, 2]);
  assert.deepEqual(families.flatMap(({ series }) => series.map(({ at }) => at)), [0, 1, 2, 3]);
});

test('buckets and quantiles are parts of one series', () => {
  const { families } = read(
    '# TYPE took histogram\ntook_bucket{to="a",le="0.5"} 1\ntook_bucket{to="a",le="+Inf"} 2\ntook_sum{to="a"} 3\ntook_count{to="a"} 2\n' +
      'took_bucket{to="b",le="0.5"} 0\ntook_bucket{to="b",le="+Inf"} 0\ntook_sum{to="b"} 0\ntook_count{to="b"} 0\n' +
      '# TYPE size summary\nsize{quantile="0.5"} NaN\nsize_sum 0\nsize_count 0\n',
  );
  const [took, size] = families;
  assert.equal(took.series.length, 2);
  assert.deepEqual(took.series[1], {
    key: 'to\u0001b',
    labels: [['to', 'b']],
    parts: [4, 5],
    bounds: [0.5, Infinity],
    sum: 6,
    count: 7,
  });
  assert.deepEqual(size.series[0].bounds, [0.5]);
});

test('label values are any text', () => {
  const { families } = read('x{a="<script>alert(1)</script>",b="\\"} 9\\n\\\\",c=""} 1\n');
  assert.deepEqual(families[0].series[0].labels, [['a', '<script>alert(1)</script>'], ['b', '"} 9\n\\'], ['c', '']]);
});

test('values are what they are', () => {
  const { values } = read('a 0\na{x="1"} -0.5\na{x="2"} 1e-9\na{x="3"} NaN\na{x="4"} +Inf\na{x="5"} -Inf\n');
  assert.deepEqual([...values], [0, -0.5, 1e-9, NaN, Infinity, -Infinity]);
});

test('as long as the series stay, only values are read', () => {
  const reader = new Reader();
  assert.equal(reader.read('# TYPE a gauge\na{x="1"} 1\na{x="2"} 2\n').families.length, 1);
  const again = reader.read('# TYPE a gauge\na{x="1"} 3\na{x="2"} NaN\n');
  assert.equal(again.families, null);
  assert.deepEqual([...again.values], [3, NaN]);
  for (const other of ['a{x="1"} 3\n', 'a{x="1"} 3\na{x="2"} 2\na{x="3"} 1\n', 'a{x="1"} 1\na{x="22"} 1\n']) {
    assert.notEqual(reader.read(other).families, null, other);
    reader.read('# TYPE a gauge\na{x="1"} 1\na{x="2"} 2\n');
  }
});

test('what is no exposition is refused, with its line', () => {
  for (const [text, line] of [
    ['a 1', 1],
    ['a 1\nb\n', 2],
    ['a 1\nb x\n', 2],
    ['a 1\nb 0x10\n', 2],
    ['a 1 now\n', 1],
    ['1a 1\n', 1],
    ['a{b} 1\n', 1],
    ['a{b="c} 1\n', 1],
    ['a{b="\\c"} 1\n', 1],
    ['a{b="c"d="e"} 1\n', 1],
    ['a{b="c",b="d"} 1\n', 1],
    ['a 1\na 2\n', 2],
    ['# TYPE a meter\n', 1],
    ['# TYPE a gauge\n# TYPE a gauge\n', 2],
    ['a 1\n# TYPE a gauge\n', 2],
    ['a 1\nb 1\na{x="y"} 1\n', 3],
    ['# TYPE a histogram\na_bucket 1\n', 2],
  ]) {
    assert.throws(() => read(text), (error) => error instanceof ExpositionError && error.line === line, text);
  }
});

test('a value that cannot be read is refused the second time too', () => {
  const reader = new Reader();
  reader.read('a 1\n');
  assert.throws(() => reader.read('a one\n'), ExpositionError);
});
