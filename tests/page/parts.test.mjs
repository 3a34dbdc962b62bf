import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Joined, partsOf } from '../../crates/obs-page/src/assets/parts.js';

/** Families of so many series each. */
function familiesOf(...counts) {
  return counts.map((count, number) => ({
    name: `family_${number}`,
    kind: 'counter',
    help: '',
    series: Array.from({ length: count }, (_, at) => ({ key: String(at), labels: [], at })),
  }));
}

function joined(parts) {
  const found = new Joined();
  for (const part of parts) found.add(structuredClone(part));
  return found;
}

test('parts put together are the families that they were', () => {
  for (const counts of [[1], [0], [3, 0, 2], [999, 1, 1], [1000, 5], [1001], [2500, 0, 4000, 1], Array(50).fill(77)]) {
    const families = familiesOf(...counts);
    assert.deepEqual(joined(partsOf(families)).take(), families, String(counts));
  }
});

test('no part has more than a thousand series', () => {
  const parts = [...partsOf(familiesOf(2500, 0, 4000, 1))];
  const sizes = parts.map((part) => part.reduce((sum, { series }) => sum + series.length, 0));
  assert.deepEqual(sizes, [1000, 1000, 1000, 1000, 1000, 1000, 501]);
});

test('without parts there are no families, also after some were taken', () => {
  const found = joined(partsOf(familiesOf(2)));
  assert.equal(found.take().length, 1);
  assert.equal(found.take(), null);
  assert.equal(joined(partsOf([])).take(), null);
});
