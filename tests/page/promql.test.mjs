import assert from 'node:assert/strict';
import test from 'node:test';

import { exemplarsOf } from '../../crates/obs-page/src/assets/exemplars.js';
import { promql } from '../../crates/obs-page/src/assets/promql.js';

test('what is shown is a query of its kind', () => {
  const where = [['side', 'buy']];
  assert.equal(promql({ name: 'a_total', kind: 'counter', where: [], by: null }), 'sum(rate(a_total[5m]))');
  assert.equal(promql({ name: 'a_total', kind: 'counter', where, by: 'venue' }), 'sum by (venue) (rate(a_total{side="buy"}[5m]))');
  assert.equal(promql({ name: 'a', kind: 'gauge', where, by: null }), 'a{side="buy"}');
  assert.equal(
    promql({ name: 'a_seconds', kind: 'histogram', where, by: 'venue' }),
    'histogram_quantile(0.95, sum by (le, venue) (rate(a_seconds_bucket{side="buy"}[5m])))',
  );
});

test('no label value ends the query', () => {
  const where = [['note', '"} or vector(1) \\ \n']];
  assert.equal(promql({ name: 'a', kind: 'gauge', where, by: null }), 'a{note="\\"} or vector(1) \\\\ \\n"}');
});

test('exemplars are traces with what was observed', () => {
  const text = [
    'a_seconds_bucket{le="0.1"} 1 # {trace_id="0af7651916cd43dd8448eb211c80319c"} 0.05 1790000000.5',
    'a_seconds_bucket{le="+Inf"} 2 # {trace_id="b7ad6b7169203331aaaaaaaaaaaaaaaa"} 0.3 1790000001',
    'a_seconds_bucket{venue="# {trace_id=\\"x\\"} 1",le="+Inf"} 2',
    'b_seconds_bucket{le="+Inf"} 2 # {trace_id="cccc"} 0.3 1790000001',
    '# EOF',
    '',
  ].join('\n');
  assert.deepEqual(exemplarsOf(text, 'a_seconds'), [
    { trace: 'b7ad6b7169203331aaaaaaaaaaaaaaaa', value: 0.3, at: 1790000001 },
    { trace: '0af7651916cd43dd8448eb211c80319c', value: 0.05, at: 1790000000.5 },
  ]);
});
