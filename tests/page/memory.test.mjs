import assert from 'node:assert/strict';
import test from 'node:test';

import { DAY, idOf, parse } from '../../crates/obs-page/src/assets/memory.js';
import { History } from '../../crates/obs-page/src/assets/history.js';
import { Track } from '../../crates/obs-page/src/assets/statistics.js';

/** A file as the process writes it. */
function fileOf(header, values) {
  let text = JSON.stringify(header);
  while ((text.length + 1) % 4) text += ' ';
  const head = new TextEncoder().encode(`${text}\n`);
  const file = new Uint8Array(head.length + 4 * values.length);
  file.set(head);
  const view = new DataView(file.buffer, head.length);
  values.forEach((value, index) => view.setFloat32(4 * index, value, true));
  return file.buffer;
}

const LINES = [
  { figure: 'Orders', needs: 'orders_total', line: 0 },
  { figure: 'Latency', needs: 'latency_seconds', line: 0 },
  { figure: 'Latency', needs: 'latency_seconds', line: 1 },
];

test('a file is read as lines of figures, coarse before fine', () => {
  const spans = [
    { step: 1, first: 1060, count: 2 },
    { step: 30, first: 990, count: 3 },
  ];
  const values = [1, 2, 10, NaN, 20, 21, 3, 4, 5, 6, 7, 8, 9, 11, 12];
  const memory = parse(fileOf({ schema: 1, lines: LINES, spans }, values));
  // The half minute from 1050 on is not over: its seconds are known from 1060 on only.
  const orders = memory.get(idOf('Orders', 'orders_total'));
  assert.deepEqual(orders.times, [1019, 1049, 1060, 1061]);
  assert.deepEqual(orders.lines, [[3, 4, 1, 2]]);
  assert.deepEqual(memory.get(idOf('Latency', 'latency_seconds')).lines, [
    [6, 7, 10, null],
    [9, 11, 20, 21],
  ]);
  assert.equal(parse(fileOf({ schema: 2, lines: LINES, spans }, values)).size, 0, 'a later edition is not guessed at');
});

test('a line goes on where the memory ends', () => {
  const track = new Track(1, ({ snapshots }, index) => [snapshots[index].values[0]], DAY);
  track.remember({ times: [900, 999, 1000], lines: [[1, 2, 99]] });
  const history = new History();
  history.add(sample(1000, 3));
  const later = new Track(1, ({ snapshots }, index) => [snapshots[index].values[0]], DAY);
  later.extend(history);
  later.remember({ times: [900, 999, 1000], lines: [[1, 2, 99]] });
  assert.deepEqual(later.lines, [[1, 2, 3]], 'what was seen counts');
});

test('after a simulated day a line is as long as after an hour', () => {
  const history = new History();
  const track = new Track(1, ({ snapshots }, index) => [snapshots[index].values[0]], DAY);
  const lengths = [];
  for (let second = 0; second < 2 * DAY; second += 1) {
    history.add(sample(1e9 + second, second));
    track.extend(history);
    if (second % 3600 === 3599) lengths.push(track.times.length);
  }
  const most = 15 * 60 + 24 * 120 + 200;
  assert.ok(Math.max(...lengths) <= most, `${Math.max(...lengths)} values`);
  assert.ok(lengths.at(-1) > 24 * 120, 'and it goes back a day');
  assert.ok(track.times.at(-1) - track.times[0] > DAY - 120);
  assert.ok(history.snapshots.length <= 901);
});

function sample(at, number) {
  const series = [{ key: '', labels: [], at: 0 }];
  const families = [{ name: 'number', kind: 'gauge', help: '', series }];
  return { at, families: at === 1e9 || at === 1000 ? families : null, values: Float64Array.of(number) };
}
