// What is said of the conditions under which somebody should look at a metric.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { conditionsOf } from '../../crates/obs-page/src/assets/conditions.js';
import { Layout } from '../../crates/obs-page/src/assets/history.js';

const LAYOUT = new Layout([]);

const label = (key) => ({ key, help: '', values: [], limit: null });

/** A catalogue of these families, with one group of these figures. */
function contextOf(families, figures) {
  return { families: new Map(families.map((family) => [family.name, family])), groups: [{ figures }] };
}

const alarmed = (title, ...alarms) => ({ title, shows: 'value', alarms });

test('an alarm is said by what it compares, not by the figure that has it', () => {
  const families = [
    { name: 'errors_total', kind: 'counter', unit: 'count', labels: [label('severity')] },
    { name: 'feed_up', kind: 'gauge', unit: '0 or 1', labels: [label('feed')] },
    { name: 'fill_seconds', kind: 'histogram', unit: 'seconds', labels: [] },
    { name: 'headroom_ratio', kind: 'gauge', unit: 'ratio', labels: [] },
    { name: 'panics_total', kind: 'counter', unit: 'count', labels: [] },
    { name: 'sent_bytes_total', kind: 'counter', unit: 'bytes', labels: [] },
  ];
  const read = (read, name, more) => ({ read, families: [name], ...more });
  const context = contextOf(families, [
    alarmed(
      'Errors',
      { value: read('sum', 'errors_total', { labels: { severity: 'critical' } }), is: 'above', than: 0 },
      { value: read('sum', 'panics_total'), is: 'above', than: 0 },
    ),
    alarmed('Feeds', { value: read('least', 'feed_up'), is: 'below', than: 1 }, { value: read('most', 'feed_up'), is: 'at_most', than: 0 }),
    alarmed('Fills', { value: read('quantile', 'fill_seconds', { level: 0.95 }), is: 'at_least', than: 0.25 }),
    alarmed('Headroom', { value: read('least', 'headroom_ratio'), is: 'at_most', than: 0 }),
    alarmed('Sent', { value: read('rate', 'sent_bytes_total'), is: 'above', than: 2 ** 21 }, { value: read('series', 'sent_bytes_total'), is: 'above', than: 3 }),
    alarmed('Both', { value: { read: 'sum', families: ['panics_total', 'errors_total'] }, is: 'above', than: 9 }),
  ]);
  const said = (name) => conditionsOf(name, context, LAYOUT).map(([term, text]) => `${term}: ${text.replaceAll('\u202f', ' ')}`);
  assert.deepEqual(said('errors_total'), [
    'Alarm: “Errors” is red while the sum of its series with severity="critical" is above 0',
    'Alarm: “Both” is red while the sum of its series, together with panics_total, is above 9',
  ]);
  assert.deepEqual(said('panics_total'), [
    'Alarm: “Errors” is red while it is above 0',
    'Alarm: “Both” is red while the sum of its series, together with errors_total, is above 9',
  ]);
  assert.deepEqual(said('feed_up'), [
    'Alarm: “Feeds” is red while any of its series is below 1',
    'Alarm: “Feeds” is red while each of its series is at or below 0',
  ]);
  assert.deepEqual(said('fill_seconds'), ['Alarm: “Fills” is red while its p95 is at or above 250 ms']);
  assert.deepEqual(said('headroom_ratio'), ['Alarm: “Headroom” is red while it is at or below 0']);
  assert.deepEqual(said('sent_bytes_total'), [
    'Alarm: “Sent” is red while its rate is above 2 MiB/s',
    'Alarm: “Sent” is red while the number of its series is above 3',
  ]);
  assert.deepEqual(said('other_total'), []);
});

test('bars are red where they are full, which is said of what is shown and of its limit', () => {
  const value = { read: 'sum', families: ['used'] };
  const context = contextOf([], [{ title: 'Limits', shows: 'bars', by: 'limit_name', value, limit: { read: 'sum', families: ['allowed'] } }]);
  assert.deepEqual(conditionsOf('used', context, LAYOUT), [['Alarm', '“Limits” is red while its value for any limit name is at or above allowed']]);
  assert.deepEqual(conditionsOf('allowed', context, LAYOUT), [['Alarm', '“Limits” is red while used for any limit name is at or above this']]);
});

test('an objective says what is good, and the switch that it is counted by leads to it', () => {
  const under = { percent: 99.9, days: 30, under: 0.25, label: null, good: [], during: null };
  const marked = { percent: 99, days: 1, under: null, label: 'answer', good: ['quoted', 'late'], during: 'market_open' };
  const families = [
    { name: 'api_seconds', unit: 'seconds', objective: under },
    { name: 'answers_total', unit: 'count', objective: marked },
    { name: 'market_open', unit: '0 or 1' },
  ];
  const said = (name) => conditionsOf(name, contextOf(families, []), LAYOUT).map(([term, text]) => `${term}: ${text.replaceAll('\u202f', ' ')}`);
  assert.deepEqual(said('api_seconds'), ['Objective: 99.9 % at or below 250 ms, over 30 days']);
  assert.deepEqual(said('answers_total'), ['Objective: 99 % with answer quoted or late, over 1 day, while market_open is 1']);
  assert.deepEqual(said('market_open'), ['Objective: of answers_total: 99 % with answer quoted or late, over 1 day, while market_open is 1']);
});

test('what a later edition declares is left out, and a service of the first has nothing', () => {
  const later = [
    { title: 'Words', shows: 'value', alarms: [{ value: { read: 'where_most', families: ['up'], label: 'feed' }, is: 'above', than: 0 }] },
    { title: 'Later', shows: 'value', alarms: [{ value: { read: 'entropy', families: ['up'] }, is: 'above', than: 0 }] },
    { title: 'Beyond', shows: 'value', alarms: [{ value: { read: 'sum', families: ['up'] }, is: 'near', than: 0 }] },
    { title: 'Empty', shows: 'bars' },
  ];
  assert.deepEqual(conditionsOf('up', contextOf([{ name: 'up' }], later), LAYOUT), []);
  assert.deepEqual(conditionsOf('up', { families: new Map(), groups: [{}] }, LAYOUT), []);
});
