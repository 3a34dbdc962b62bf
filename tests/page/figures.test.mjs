// Figures of catalogues of this edition, of the first and of a later one.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Events, Log, designOf, designsOf, readingOf } from '../../crates/obs-page/src/assets/figures.js';
import { Reader } from '../../crates/obs-page/src/assets/exposition.js';
import { History } from '../../crates/obs-page/src/assets/history.js';
import { total } from '../../crates/obs-page/src/assets/statistics.js';
import { Warnings } from '../../crates/obs-page/src/assets/warnings.js';

/** A history of these expositions, a second apart. */
function historyOf(...texts) {
  const history = new History();
  const reader = new Reader();
  texts.forEach((text, at) => history.add({ at, ...reader.read(text) }));
  return history;
}

const nothingKnown = { families: new Map(), groups: [] };

function contextOf(catalogue) {
  return { families: new Map(catalogue.families.map((family) => [family.name, family])), groups: catalogue.groups };
}

/** The text of a reading at the end of a history. */
function textOf(history, spec, context = nothingKnown) {
  return readingOf(spec, context, history.latest.layout).text(history);
}

const now = (history, design) => design.values(history, history.snapshots.length - 1);

const DESK = `# TYPE desk_orders_total counter
desk_orders_total{venue="xnas",side="buy"} 3
desk_orders_total{venue="xnas",side="sell"} 4
desk_orders_total{venue="arca",side="buy"} 5
# TYPE desk_headroom_ratio gauge
desk_headroom_ratio{limit="max_position"} 0.5
desk_headroom_ratio{limit="daily_loss"} 0.25
desk_headroom_ratio{limit="unknown"} NaN
# TYPE desk_up gauge
desk_up{feed="a"} 1
desk_up{feed="b"} 0
desk_up{feed="c"} 1
# TYPE desk_pnl gauge
desk_pnl{currency="USD"} 12.5
# TYPE desk_fill_seconds histogram
desk_fill_seconds_bucket{le="0.1"} 1
desk_fill_seconds_bucket{le="+Inf"} 1
desk_fill_seconds_sum 0.1
desk_fill_seconds_count 1
`;

const UNITS = {
  families: new Map([
    ['desk_pnl', { name: 'desk_pnl', unit: 'currency' }],
    ['desk_up', { name: 'desk_up', unit: '0 or 1' }],
  ]),
  groups: [],
};

test('readings are sums, extremes, counts and words', () => {
  const history = historyOf(DESK);
  const orders = ['desk_orders_total'];
  assert.equal(textOf(history, { read: 'sum', families: orders }), '12');
  assert.equal(textOf(history, { read: 'sum', families: orders, labels: { side: 'buy' } }), '8');
  assert.equal(textOf(history, { read: 'sum', families: orders, labels: { side: 'short' } }), '–');
  assert.equal(textOf(history, { read: 'most', families: orders }), '5');
  assert.equal(textOf(history, { read: 'least', families: ['desk_headroom_ratio'] }), '25.0\u202f%');
  assert.equal(textOf(history, { read: 'where_least', families: ['desk_headroom_ratio'], label: 'limit' }), 'daily loss');
  assert.equal(textOf(history, { read: 'where_most', families: orders, label: 'venue' }), 'arca');
  assert.equal(textOf(history, { read: 'series', families: ['desk_up'] }, UNITS), '3');
  assert.equal(textOf(history, { read: 'sum', families: ['desk_up'] }, UNITS), '2', 'so many are on');
  assert.equal(textOf(history, { read: 'constant', number: 500 }), '500');
  assert.equal(textOf(history, { read: 'sum', families: ['nothing'] }), '–');
});

test('families that are not there add nothing', () => {
  const history = historyOf(DESK, DESK.replace('side="buy"} 5', 'side="buy"} 8'));
  const both = ['desk_orders_total', 'desk_panics_total'];
  assert.equal(textOf(history, { read: 'sum', families: both }), '15');
  assert.equal(textOf(history, { read: 'rate', families: both }), '3.00/s');
});

test('nothing of another currency adds nothing, and what has no unit of money adds up', () => {
  const text = '# TYPE desk_pnl gauge\ndesk_pnl{currency="EUR"} 0\ndesk_pnl{currency="USD"} 7\n';
  const more = '# TYPE desk_orders_total counter\ndesk_orders_total{currency="EUR"} 2\ndesk_orders_total{currency="USD"} 3\n';
  const history = historyOf(text + more);
  const { layout } = history.latest;
  assert.equal(readingOf({ read: 'sum', families: ['desk_pnl'] }, UNITS, layout).at(history, 0), 7);
  assert.equal(textOf(history, { read: 'sum', families: ['desk_pnl'] }, UNITS), '$7.00');
  const orders = { read: 'sum', families: ['desk_orders_total'] };
  const declared = { families: new Map([['desk_orders_total', { name: 'desk_orders_total', unit: 'count' }]]), groups: [] };
  assert.equal(textOf(history, orders, declared), '5');
  assert.equal(textOf(history, orders), '2 EUR · 3 USD', 'what nobody declares may be money');
});

test('rates, extremes and quantiles of several currencies are none', () => {
  const texts = [1, 3].map(
    (fees) => `# TYPE desk_fees_total counter
desk_fees_total{currency="USD"} ${fees}
desk_fees_total{currency="JPY"} ${100 * fees}
# TYPE desk_size histogram
${['USD', 'JPY'].map((of) => `desk_size_bucket{currency="${of}",le="10"} ${fees}\ndesk_size_bucket{currency="${of}",le="+Inf"} ${2 * fees}`).join('\n')}
`,
  );
  const history = historyOf(...texts);
  const money = (name) => [name, { name, unit: 'currency' }];
  const context = { families: new Map([money('desk_fees_total'), money('desk_size')]), groups: [] };
  const at = (spec) => readingOf(spec, context, history.latest.layout).at(history, 1);
  for (const spec of [
    { read: 'rate', families: ['desk_fees_total'] },
    { read: 'most', families: ['desk_fees_total'] },
    { read: 'quantile', families: ['desk_size'], level: 0.5 },
  ]) {
    assert.ok(Number.isNaN(at(spec)), spec.read);
    assert.ok(!Number.isNaN(at({ ...spec, labels: { currency: 'USD' } })), spec.read);
  }
});

test('gains have a sign, in the one currency there is', () => {
  const gain = { read: 'sum', families: ['desk_pnl'], signed: true };
  assert.equal(textOf(historyOf(DESK), gain, UNITS), '+$12.50');
  assert.equal(textOf(historyOf(DESK.replace('12.5', '-12.5')), gain, UNITS), '−$12.50');
  const two = historyOf(`${DESK.split('desk_pnl{')[0]}desk_pnl{currency="USD"} 12.5\ndesk_pnl{currency="EUR"} 1\n`);
  assert.equal(textOf(two, gain, UNITS), '+$12.50 · +€1.00', 'amounts of two currencies have no sum, but each has its own');
  assert.ok(Number.isNaN(readingOf(gain, UNITS, two.latest.layout).at(two, 0)));
  const figure = { title: 'Gain', shows: 'value', value: gain };
  const why = (history) => designOf(figure, nothingKnown, history.latest.layout).why(history);
  assert.equal(why(two), 'several currencies have no sum');
  assert.equal(why(historyOf(DESK)), 'no value yet');
});

test('a ratio to nothing is undefined', () => {
  const ratio = { title: 'Share', shows: 'ratio', facts: [], alarms: [] };
  const sold = { read: 'sum', families: ['desk_orders_total'], labels: { side: 'sell' } };
  const history = historyOf(DESK);
  const design = designOf({ ...ratio, value: sold, of: { read: 'sum', families: ['desk_orders_total'] } }, nothingKnown, history.latest.layout);
  assert.equal(design.main(history), '33.3\u202f%');
  const of0 = designOf({ ...ratio, value: sold, of: { read: 'constant', number: 0 } }, nothingKnown, history.latest.layout);
  assert.equal(of0.main(history), '–');
});

test('a bar is filled as far as its limit, and an alarm is raised beyond its bound', () => {
  const up = { read: 'sum', families: ['desk_up'] };
  const figure = {
    title: 'Feeds up',
    shows: 'bar',
    value: up,
    limit: { read: 'series', families: ['desk_up'] },
    worse: 'down',
    facts: [{ name: 'orders', value: { read: 'sum', families: ['desk_orders_total'] } }],
    alarms: [{ value: { read: 'least', families: ['desk_up'] }, is: 'below', than: 1 }],
  };
  const history = historyOf(DESK);
  const design = designOf(figure, UNITS, history.latest.layout);
  assert.equal(design.main(history), '2 of 3');
  assert.ok(Math.abs(design.share(history) - 2 / 3) < 1e-12);
  assert.deepEqual(design.facts(history, now(history, design)), [['orders', '12']]);
  assert.equal(design.isBad(history), true);
  const well = historyOf(DESK.replace('feed="b"} 0', 'feed="b"} 1'));
  assert.equal(design.isBad(well), false);
});

test('events that are worse when there are more are drawn as bad', () => {
  const { layout } = historyOf(DESK).latest;
  const tone = (figure) => designOf({ title: 'X', shows: 'value', ...figure }, nothingKnown, layout).lines[0].tone;
  const rate = { read: 'rate', families: ['desk_orders_total'] };
  assert.equal(tone({ value: rate, worse: 'up' }), 'bad');
  assert.equal(tone({ value: rate, worse: null }), 'accent');
  assert.equal(tone({ value: { read: 'least', families: ['desk_headroom_ratio'] }, worse: 'up' }), 'accent');
});

test('a table has a row for each value of its label', () => {
  const figure = {
    title: 'Venues',
    shows: 'table',
    by: 'venue',
    columns: [
      { name: 'orders', value: { read: 'sum', families: ['desk_orders_total'] } },
      { name: 'bought', value: { read: 'sum', families: ['desk_orders_total'], labels: { side: 'buy' } } },
      { name: 'of a later edition', value: { read: 'forecast', families: ['desk_orders_total'] } },
    ],
  };
  const history = historyOf(DESK);
  const { table } = designOf(figure, nothingKnown, history.latest.layout);
  assert.deepEqual(table(history), {
    heads: ['venue', 'orders', 'bought'],
    rows: [
      ['xnas', '7', '3'],
      ['arca', '5', '5'],
    ],
    more: 0,
  });
  const lines = Array.from({ length: 9 }, (_, n) => `desk_orders_total{venue="v${n}",side="buy"} ${n}`);
  const many = historyOf(`# TYPE desk_orders_total counter\n${lines.join('\n')}\n`);
  const shown = designOf(figure, nothingKnown, many.latest.layout).table(many);
  assert.deepEqual([shown.rows[0][0], shown.rows.length, shown.more], ['v8', 5, 4]);
});

test('a log tells what was counted since, newest first', () => {
  const halts = (a, b) => `# TYPE halts_total counter\nhalts_total{reason="luld"} ${a}\nhalts_total{reason="news"} ${b}\n`;
  const history = historyOf(halts(5, 0), halts(5, 0), halts(6, 0), halts(6, 2));
  const log = new Log({ family: 'halts_total', label: 'reason' });
  log.extend(history);
  const expected = [
    { at: 3, what: 'news', count: 2 },
    { at: 2, what: 'luld', count: 1 },
  ];
  assert.deepEqual(log.entries, expected);
  log.extend(history);
  assert.deepEqual(log.entries, expected, 'once each');
});

test('quantiles are those that the figure names', () => {
  const figure = { title: 'Fill', shows: 'quantiles', family: 'desk_fill_seconds', levels: [0.5, 0.9] };
  const design = designOf(figure, nothingKnown, historyOf(DESK).latest.layout);
  assert.deepEqual(design.lines.map(({ name }) => name), ['p50', 'p90']);
  assert.equal(design.suffix, 'p90');
});

test('quantiles of what is no histogram are undefined', () => {
  const history = historyOf(DESK, DESK);
  for (const family of ['desk_pnl', 'desk_orders_total', 'nothing']) {
    const design = designOf({ title: 'Fill', shows: 'quantiles', family }, nothingKnown, history.latest.layout);
    assert.deepEqual(now(history, design), [NaN, NaN, NaN], family);
  }
});

test('what a later edition says is skipped, and the rest is shown', () => {
  const history = historyOf(DESK);
  const catalogue = {
    schema: 3,
    families: [],
    groups: [
      {
        id: 'desk',
        title: 'Desk',
        rank: 0,
        colour: 'blue',
        figures: [
          { title: 'Map', shows: 'map', of: ['desk_up'] },
          { title: 'Forecast', shows: 'value', value: { read: 'forecast', families: ['desk_up'] } },
          {
            title: 'Orders',
            shows: 'value',
            value: { read: 'sum', families: ['desk_orders_total'], smoothed: true },
            facts: [{ name: 'soon', value: { read: 'forecast' } }],
            alarms: [{ value: { read: 'sum', families: ['desk_orders_total'] }, is: 'unlike', than: 3 }],
            sound: 'bell',
          },
        ],
      },
    ],
  };
  const designs = designsOf(contextOf(catalogue), history.latest.layout);
  assert.deepEqual(designs.map(({ title }) => title), ['Orders']);
  assert.deepEqual(designs[0].facts(history, []), []);
  assert.equal(designs[0].isBad(history), false);
});

test('figures stand by rank, and those without series not at all', () => {
  const figure = (title, rank, name) => ({ title, rank, shows: 'value', value: { read: 'sum', families: [name] } });
  const catalogue = {
    schema: 2,
    families: [],
    groups: [
      { id: 'api', title: 'API', rank: 110, figures: [figure('Later', 110, 'desk_up'), figure('Sooner', 100, 'desk_up')] },
      { id: 'own', title: 'Own', rank: 0, figures: [figure('First', 0, 'desk_orders_total'), figure('None', 0, 'nothing_total')] },
    ],
  };
  const designs = designsOf(contextOf(catalogue), historyOf(DESK).latest.layout);
  assert.deepEqual(designs.map(({ title }) => title), ['First', 'Sooner', 'Later']);
});

test('groups of a program without figures get some, by kind and unit', () => {
  const names = ['desk_orders_total', 'desk_headroom_ratio', 'desk_up', 'desk_fill_seconds'];
  const own = { id: 'desk', title: 'Desk', rank: 0, figures: [] };
  const family = (name) => ({ name, group: 'desk', unit: name.endsWith('_seconds') ? 'seconds' : 'count' });
  const system = { title: 'Memory', rank: 200, shows: 'value', value: { read: 'sum', families: ['desk_pnl'] } };
  const catalogue = {
    schema: 2,
    families: names.map(family),
    groups: [own, { id: 'system', title: 'System', rank: 200, figures: [system] }, { id: 'cache', title: 'Cache', rank: 180, figures: [] }],
  };
  const { layout } = historyOf(DESK).latest;
  const titles = (catalogue) => designsOf(contextOf(catalogue), layout).map(({ title }) => title);
  assert.deepEqual(titles(catalogue), ['Desk orders', 'Desk headroom', 'Desk fill', 'Memory']);

  const undeclared = { ...catalogue, families: [], groups: catalogue.groups.slice(1) };
  assert.deepEqual(titles(undeclared), ['Desk orders', 'Desk headroom', 'Desk fill', 'Memory'], 'nor does it declare anything');
});

test('a service of the first edition is shown', () => {
  const folder = new URL('../fixtures/edition-1/', import.meta.url);
  const catalogue = JSON.parse(readFileSync(new URL('catalog.json', folder), 'utf8'));
  const history = historyOf(readFileSync(new URL('scrape.prom', folder), 'utf8'));
  assert.equal(catalogue.schema, undefined);
  const context = contextOf(catalogue);
  const designs = designsOf(context, history.latest.layout);
  assert.equal(designs.length, 12);
  const groups = new Set(designs.map(({ needs }) => context.families.get(needs).group));
  assert.deepEqual([...groups].slice(0, 3), ['api', 'trading', 'performance']);
  for (const design of designs) {
    assert.equal(typeof design.main(history, now(history, design)), 'string', design.title);
    assert.equal(design.isBad(history), false);
  }
  const inFlight = designs.find(({ needs }) => needs === 'http_requests_in_flight');
  assert.equal(inFlight.main(history, []), '0');
  assert.deepEqual(new Warnings().texts(catalogue), []);
});

test('warnings are the catalogue’s, or else what the signs mean', () => {
  const sign = (value) => `# TYPE obs_dead_handles gauge\nobs_dead_handles ${value}\n`;
  const warnings = new Warnings();
  const look = (value) => warnings.hasNews(historyOf(sign(value)).latest);
  assert.equal(look(0), false);
  assert.equal(look(2), true);
  assert.equal(look(2), false, 'it is known');
  assert.equal(look(3), true);
  assert.match(warnings.texts({})[0], /before a recorder was installed/);
  const told = { warnings: [{ kind: 'dead_handles', text: '3 handles: src/main.rs:7' }] };
  assert.deepEqual(warnings.texts(told), ['3 handles: src/main.rs:7']);
});

test('events are what was counted, the same within seconds together, and never that a process began anew', () => {
  const events = new Events([
    { name: 'rejected', family: 'desk_rejected_total', label: 'reason' },
    { name: 'closed', family: 'desk_closed_total', label: 'outcome' },
  ]);
  const text = (uptime, price, exposure, filled) =>
    [
      '# TYPE app_uptime_seconds gauge',
      `app_uptime_seconds ${uptime}`,
      '# TYPE desk_rejected_total counter',
      `desk_rejected_total{reason="price"} ${price}`,
      `desk_rejected_total{reason="exposure"} ${exposure}`,
      '# TYPE desk_closed_total counter',
      `desk_closed_total{outcome="filled"} ${filled}`,
      '',
    ].join('\n');
  const history = historyOf(text(10, 5, 0, 1), text(11, 5, 1, 1), text(12, 5, 2, 1), text(13, 5, 2, 2));
  events.extend(history);
  const shown = () => events.entries.map(({ name, what, count }) => `${name} ×${count} ${what}`);
  assert.deepEqual(shown(), ['closed ×1 filled', 'rejected ×2 exposure']);
  assert.equal(events.entries[1].to - events.entries[1].from, 1);
  events.extend(history);
  assert.deepEqual(shown(), ['closed ×1 filled', 'rejected ×2 exposure'], 'nothing is an event twice');
  const restarted = historyOf(text(10, 5, 0, 1), text(1, 7, 9, 9));
  const others = new Events(events.kinds);
  others.extend(restarted);
  assert.deepEqual(others.entries, []);
});

test('bars have a limit each, and parts add up to what they are parts of', () => {
  const history = historyOf(
    [
      '# TYPE desk_used gauge',
      'desk_used{limit="loss"} 5',
      'desk_used{limit="size"} 9',
      '# TYPE desk_allowed gauge',
      'desk_allowed{limit="loss"} 10',
      'desk_allowed{limit="size"} 9',
      'desk_allowed{limit="unused"} 1',
      '',
    ].join('\n'),
  );
  const of = (name) => ({ read: 'sum', families: [name] });
  const bars = designOf({ title: 'Limits', shows: 'bars', by: 'limit', value: of('desk_used'), limit: of('desk_allowed') }, UNITS, history.latest.layout);
  assert.deepEqual(
    bars.bars(history).map(({ name, share, isBad }) => [name, share, isBad]),
    [
      ['loss', 0.5, false],
      ['size', 1, true],
      ['unused', NaN, false],
    ],
  );
  const parts = designOf({ title: 'Used', shows: 'parts', by: 'limit', value: of('desk_used') }, UNITS, history.latest.layout);
  assert.equal(parts.parts(history).reduce((sum, { value }) => sum + value, 0), total(history.latest, 'desk_used', null));
});

test('what several processes have of a moment or a share stands beside each other, and a limit is one of a process', () => {
  const text = (...lines) => [...lines, ''].join('\n');
  const history = historyOf(
    text(
      '# TYPE desk_day_timestamp_seconds gauge',
      'desk_day_timestamp_seconds{process="a"} 946684800',
      'desk_day_timestamp_seconds{process="b"} 978307200',
      '# TYPE desk_leverage_ratio gauge',
      'desk_leverage_ratio{process="a",side="long"} 0.25',
      'desk_leverage_ratio{process="a",side="short"} 0.25',
      'desk_leverage_ratio{process="b",side="long"} 0.75',
      '# TYPE desk_used_ratio gauge',
      'desk_used_ratio{limit="loss",process="a"} 0.1',
      'desk_used_ratio{limit="loss",process="b"} 0',
      '# TYPE desk_allowed_ratio gauge',
      'desk_allowed_ratio{limit="loss",process="a"} 0.1',
      'desk_allowed_ratio{limit="loss",process="b"} 0.1',
      '# TYPE desk_orders_open gauge',
      'desk_orders_open{process="a"} 3',
      'desk_orders_open{process="b"} 4',
    ),
  );
  const of = (name) => ({ read: 'sum', families: [name] });
  assert.equal(textOf(history, of('desk_day_timestamp_seconds')), '2000-01-01 · 2001-01-01');
  // Of one process they add up, as they do where a service shows itself.
  assert.equal(textOf(history, of('desk_leverage_ratio')), '50.0\u202f% · 75.0\u202f%');
  assert.equal(textOf(history, of('desk_orders_open')), '7');
  const read = (name) => readingOf(of(name), nothingKnown, history.latest.layout);
  assert.ok(Number.isNaN(read('desk_leverage_ratio').at(history, 0)));
  assert.equal(read('desk_orders_open').at(history, 0), 7);

  const tile = (figure) => designOf(figure, nothingKnown, history.latest.layout);
  // One process is enough for an alarm, and for a limit.
  const alarmed = (than) => tile({ title: 'Leverage', shows: 'value', value: of('desk_leverage_ratio'), alarms: [{ value: of('desk_leverage_ratio'), is: 'above', than }] });
  assert.deepEqual([0.7, 0.8].map((than) => alarmed(than).isBad(history)), [true, false]);
  assert.equal(alarmed(0.7).why(history), 'several processes have no sum');
  const limits = tile({ title: 'Limits', shows: 'bars', by: 'limit', value: of('desk_used_ratio'), limit: of('desk_allowed_ratio') });
  assert.deepEqual(
    limits.bars(history).map(({ name, share, isBad }) => [name, share, isBad]),
    [
      ['loss · a', 1, true],
      ['loss · b', 0, false],
    ],
  );

  // What a dead process had of it last is not now.
  const ofDead = designOf(
    { title: 'Limits', shows: 'bars', by: 'limit', value: of('desk_used_ratio'), limit: of('desk_allowed_ratio') },
    { ...nothingKnown, gone: new Map([['b', 'dead']]) },
    history.latest.layout,
  );
  assert.deepEqual(ofDead.bars(history).map(({ isGone }) => isGone), [false, true]);

  // Of very many the first ones.
  const many = Array.from({ length: 9 }, (_, index) => `many_ratio{process="${index}"} 0.${index}`);
  const of_many = historyOf(text('# TYPE many_ratio gauge', ...many));
  assert.equal(textOf(of_many, of('many_ratio')), '0\u202f% · 10.0\u202f% · 20.0\u202f% · 30.0\u202f% · …');
});
