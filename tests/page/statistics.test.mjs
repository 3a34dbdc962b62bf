// What the page makes of snapshots.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Reader } from '../../crates/obs-page/src/assets/exposition.js';
import { History, SPAN } from '../../crates/obs-page/src/assets/history.js';
import {
  QUANTILES,
  QUANTILE_WINDOW,
  RATE_WINDOW,
  Track,
  increase,
  quantile,
  quantiles,
  rate,
  total,
} from '../../crates/obs-page/src/assets/statistics.js';

/** A history of these expositions, a second apart unless they have a time. */
function historyOf(...texts) {
  const history = new History();
  const reader = new Reader();
  texts.forEach((text, index) => {
    const [at, exposition] = Array.isArray(text) ? text : [index, text];
    history.add({ at, ...reader.read(exposition) });
  });
  return history;
}

const last = (history) => history.snapshots.length - 1;

test('a rate is the increase over the window', () => {
  const counter = (value) => `# TYPE a counter\na ${value}\n`;
  const texts = Array.from({ length: 40 }, (_, second) => counter(second < 20 ? 0 : (second - 20) * 3));
  const history = historyOf(...texts);
  assert.equal(rate(history, last(history), 'a', null), 3);
  assert.equal(rate(history, 20 + RATE_WINDOW / 3, 'a', null), 1, 'a third of the window had increases');
  assert.equal(rate(history, 10, 'a', null), 0);
  assert.ok(Number.isNaN(rate(history, 0, 'a', null)), 'one sample has no rate');
  assert.ok(Number.isNaN(rate(history, 5, 'nothing', null)));
});

test('a counter that fell was set back', () => {
  assert.equal(increase(5, 8), 3);
  assert.equal(increase(5, 2), 2);
  const history = historyOf('# TYPE a counter\na 100\n', '# TYPE a counter\na 4\n');
  assert.equal(rate(history, 1, 'a', null), 4);
});

test('a series that comes up began at 0', () => {
  const history = historyOf('# TYPE a counter\na{x="1"} 1\n', '# TYPE a counter\na{x="1"} 1\na{x="2"} 5\n');
  assert.equal(rate(history, 1, 'a', null), 5);
  assert.equal(rate(history, 1, 'a', ['x\u00011']), 0);
});

test('a process that started anew has no increase from before', () => {
  const text = (uptime, value) => `# TYPE app_uptime_seconds gauge\napp_uptime_seconds ${uptime}\n# TYPE a counter\na ${value}\n`;
  const history = historyOf(text(50, 10), text(51, 20), text(0.5, 3), text(1.5, 4));
  assert.deepEqual(history.restarts, [2]);
  assert.ok(Number.isNaN(rate(history, 2, 'a', null)));
  assert.equal(rate(history, 3, 'a', null), 1);
});

test('a process that stood still did not start anew', () => {
  const text = (start, uptime) =>
    `# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds ${start}\n` +
    `# TYPE app_uptime_seconds gauge\napp_uptime_seconds ${uptime}\n`;
  // Stopped for seven seconds, in the middle of a rendering.
  const history = historyOf([50, text(0, 50)], [58, text(0, 51)], [59, text(0, 59)], [60, text(59.5, 0.5)]);
  assert.deepEqual(history.restarts, [60]);
});

test('quantiles are those of Prometheus', () => {
  // The histogram of Prometheus' own tests of histogram_quantile, and what they expect of it.
  const positive = [[0.1, 0.2, 1, Infinity], [50, 70, 110, 120]];
  const negative = [[-0.2, -0.1, 0.3, Infinity], [10, 20, 20, 30]];
  for (const [q, above, below] of [
    [0, 0, -0.2],
    [0.2, 0.048, -0.2],
    [0.5, 0.15, -0.15],
    [0.8, 0.72, 0.3],
    [1, 1, 0.3],
  ]) {
    assert.ok(Math.abs(quantile(q, ...positive) - above) < 1e-12, `${q} above 0: ${quantile(q, ...positive)}`);
    assert.ok(Math.abs(quantile(q, ...negative) - below) < 1e-12, `${q} below 0: ${quantile(q, ...negative)}`);
  }
});

test('a quantile of nothing is undefined', () => {
  assert.ok(Number.isNaN(quantile(0.5, [1, Infinity], [0, 0])));
  assert.ok(Number.isNaN(quantile(0.5, [Infinity], [3])));
  assert.ok(Number.isNaN(quantile(0.5, [1, 2], [1, 2])), 'without +Inf');
  assert.ok(Number.isNaN(quantile(0.5, [], [])));
});

test('quantiles look back for their window, over all series', () => {
  const text = (a, b) =>
    `# TYPE h histogram\nh_bucket{x="a",le="1"} ${a}\nh_bucket{x="a",le="2"} ${a}\nh_bucket{x="a",le="+Inf"} ${a}\n` +
    `h_bucket{x="b",le="1"} 0\nh_bucket{x="b",le="2"} ${b}\nh_bucket{x="b",le="+Inf"} ${b}\n`;
  const history = historyOf([0, text(100, 0)], [1, text(100, 0)], [2, text(110, 10)], [2 + QUANTILE_WINDOW + 1, text(110, 10)]);
  const [median] = quantiles(history, 2, 'h', null);
  assert.equal(median, 1, 'of 10 below 1 and 10 between 1 and 2');
  assert.deepEqual(quantiles(history, 2, 'h', ['x\u0001b']), QUANTILES.map((q) => 1 + q));
  assert.ok(quantiles(history, 3, 'h', null).every(Number.isNaN), 'nothing was observed since');
});

test('a sum with something undefined is undefined', () => {
  const history = historyOf('# TYPE a gauge\na{x="1"} 1\na{x="2"} 2\n', '# TYPE a gauge\na{x="1"} NaN\na{x="2"} 2\n');
  assert.equal(total(history.snapshots[0], 'a', null), 3);
  assert.ok(Number.isNaN(total(history.snapshots[1], 'a', null)));
  assert.ok(Number.isNaN(total(history.snapshots[1], 'b', null)));
});

test('a track grows with its history, and never holds what cannot be drawn', () => {
  const gauge = (value) => `# TYPE a gauge\na ${value}\n`;
  const history = historyOf(gauge(1), gauge('NaN'));
  const track = new Track(1, ({ snapshots }, index) => [total(snapshots[index], 'a', null)]);
  track.extend(history);
  track.extend(history);
  assert.deepEqual([track.times, track.lines], [[0, 1], [[1, null]]]);
  history.add({ at: 2, families: null, values: Float64Array.of(Infinity) });
  track.extend(history);
  assert.deepEqual([track.times, track.lines], [[0, 1, 2], [[1, null, null]]]);
  history.add({ at: SPAN + 1, families: null, values: Float64Array.of(3) });
  track.extend(history);
  assert.deepEqual([track.times[0], track.times.at(-1), track.now], [1, SPAN + 1, [3]]);
});

test('lines end at a restart, and where nothing is known for long', () => {
  const text = (uptime) => `# TYPE app_uptime_seconds gauge\napp_uptime_seconds ${uptime}\n`;
  const history = historyOf([0, text(50)], [2, text(52)], [8, text(1)], [48, text(41)]);
  const track = new Track(1, ({ snapshots }, index) => [total(snapshots[index], 'app_uptime_seconds', null)]);
  track.extend(history);
  assert.deepEqual([track.times, track.lines[0]], [[0, 2, 5, 8, 28, 48], [50, 52, null, 1, null, 41]]);
});

test('history forgets what is older than a quarter of an hour', () => {
  const texts = Array.from({ length: SPAN + 100 }, (_, second) => `# TYPE a gauge\na ${second}\n`);
  const history = historyOf(...texts);
  assert.equal(history.snapshots.length, SPAN + 1);
  assert.equal(history.snapshots[0].at, 99);
  assert.equal(history.added, SPAN + 100);
});

test('history of very many series has fewer snapshots, the new ones whole', () => {
  const history = new History();
  const series = Array.from({ length: 100_000 }, (_, at) => ({ key: `x\u0001${at}`, labels: [['x', String(at)]], at }));
  const families = [{ name: 'a', kind: 'gauge', help: '', series }];
  for (let at = 0; at < 200; at += 1) {
    history.add({ at, families: at ? null : families, values: new Float64Array(100_000) });
  }
  const times = history.snapshots.map((snapshot) => snapshot.at);
  assert.ok(times.length > 20, `${times.length}`);
  assert.ok(times.length * 100_000 <= 8_000_000, `${times.length}`);
  assert.deepEqual(times.slice(-20), Array.from({ length: 20 }, (_, index) => 180 + index));
  assert.ok(times[0] < 100, `${times}`);
});

test('series that come and go all the time do not fill the memory', () => {
  const history = new History();
  for (let at = 0; at < 300; at += 1) {
    const series = Array.from({ length: 1000 }, (_, place) => ({ key: `x\u0001${at + place}`, labels: [], at: place }));
    history.add({ at, families: [{ name: 'a', kind: 'gauge', help: '', series }], values: new Float64Array(1000) });
  }
  const layouts = new Set(history.snapshots.map(({ layout }) => layout));
  assert.ok(layouts.size > 20 && layouts.size < 200, `${layouts.size} of 300`);
});
