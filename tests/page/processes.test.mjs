// The states of processes, as an agent's exposition has them.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Reader } from '../../crates/obs-page/src/assets/exposition.js';
import { History } from '../../crates/obs-page/src/assets/history.js';
import { headlineOf, processesOf, summaryOf } from '../../crates/obs-page/src/assets/processes.js';
import { rate } from '../../crates/obs-page/src/assets/statistics.js';

/** A history of what is read one after the other, once a second. */
function historyOf(...texts) {
  const [history, reader] = [new History(), new Reader()];
  texts.forEach((text, second) => history.add({ at: 1_800_000_000 + second, ...reader.read(text) }));
  return history;
}

const MANY = `# TYPE obs_process_dead gauge
obs_process_dead{process="crashed"} 1
obs_process_dead{process="over"} 0
obs_process_dead{process="quoter"} 0
obs_process_dead{process="stuck"} 0
obs_process_dead{process="worker"} 2
# TYPE obs_process_hung_seconds gauge
obs_process_hung_seconds{loop="idle",process="stuck"} NaN
obs_process_hung_seconds{loop="quotes",process="quoter"} 0
obs_process_hung_seconds{loop="quotes",process="stuck"} 3.5
obs_process_hung_seconds{loop="risk",process="stuck"} 65
# TYPE obs_process_up gauge
obs_process_up{process="crashed"} 0
obs_process_up{process="over"} 0
obs_process_up{process="quoter"} 1
obs_process_up{process="stuck"} 1
obs_process_up{process="worker"} 3
`;

test('processes at which somebody should look come first', () => {
  const processes = processesOf(historyOf(MANY).latest);
  assert.deepEqual(
    processes.map(({ name, state, text }) => [name, state, text]),
    [
      ['crashed', 'dead', 'dead'],
      ['stuck', 'hung', 'hangs for 1\u202fmin 5\u202fs'],
      ['quoter', 'up', 'up'],
      ['worker', 'up', '3 up'],
      ['over', 'ended', 'ended'],
    ],
  );
  assert.match(processes[0].note, /what it had last/);
  assert.equal(processes[1].note, 'hangs: no beat of quotes, risk');
  assert.deepEqual(processes.slice(2).map(({ note }) => note), ['', '', '']);
  assert.equal(summaryOf(processes), '2 of 4 processes up, 1 hung, 1 dead');
  assert.equal(headlineOf(processes), 'crashed dead, stuck hung');
});

test('a service that shows itself has no processes', () => {
  assert.equal(processesOf(historyOf('# TYPE quotes_total counter\nquotes_total 1\n').latest), null);
});

test('one process that begins anew is no restart of all', () => {
  const uptimes = (...seconds) => {
    const series = seconds.map((value, index) => `app_uptime_seconds{process="p${index}"} ${value}\n`).join('');
    return `# TYPE app_uptime_seconds gauge\n${series}`;
  };
  const up = '# TYPE obs_process_up gauge\nobs_process_up{process="p0"} 1\n';
  assert.deepEqual(historyOf(uptimes(900, 800) + up, uptimes(1, 801) + up, uptimes(802) + up).restarts, []);
  assert.equal(historyOf(uptimes(900), uptimes(1)).restarts.length, 1);
});

test('an agent that begins anew is a restart: its totals may be less, and none has risen from 0', () => {
  const shown = (began, orders) =>
    `# TYPE obs_process_up gauge\nobs_process_up{process="p0"} 1\n` +
    `# TYPE obs_agent_start_time_seconds gauge\nobs_agent_start_time_seconds ${began}\n` +
    `# TYPE orders_total counter\norders_total{process="p0"} ${orders}\n`;
  const history = historyOf(shown(1000.5, 90_000), shown(1000.5, 90_010), shown(1020.25, 5_000), shown(1020.25, 5_020));
  assert.equal(history.restarts.length, 1);
  assert.equal(rate(history, 1, 'orders_total', null), 10);
  assert.ok(Number.isNaN(rate(history, 2, 'orders_total', null)));
  assert.equal(rate(history, 3, 'orders_total', null), 20);
});
