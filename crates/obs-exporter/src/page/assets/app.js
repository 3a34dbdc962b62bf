// The page: asks through its worker, remembers, and shows.

import { Groups } from './groups.js';
import { History, value } from './history.js';
import { Overview } from './overview.js';
import { clock, format, span } from './format.js';
import { el, setText } from './dom.js';
import { forgetPalette, view } from './chart.js';
import { Warnings } from './warnings.js';

/** How often to ask while the page is looked at, and while it is hidden: then only so that history has no holes. */
const EVERY_MS = 1000;
const HIDDEN_MS = 10_000;

/** What is shown until somebody chooses, in seconds: the shortest of these that has room for all there is, and little more. */
const SPANS = [60, 75, 90, 120, 150, 180, 240, 300, 360, 480, 600, 720, 900];

/** Without news for this long, in seconds, what is shown is old. */
const LATE = 3;

const $ = (id) => document.getElementById(id);

const history = new History();
const context = { history, families: new Map(), groups: [], globals: new Set() };
const overview = new Overview($('tiles'), context);
const groups = new Groups({ host: $('all'), nav: $('groups'), found: $('found') }, context);

const warnings = new Warnings();
/** Names that stand in no catalogue so far. */
const strangers = new Set();

let catalogue = {};
let chosenSpan = null;
let began = null;
let failure = null;
/** When the latest sample came, by the clock that does not jump, in milliseconds. */
let heard = performance.now();
let isDrawing = false;
let hasArrived = false;
let worker = null;

start();

async function start() {
  $('main').hidden = false;
  $('tools').hidden = false;
  $('state').hidden = false;
  setTheme(remembered('obs-theme'));
  listen();
  await loadCatalogue();
  worker = startWorker();
  worker.onmessage = ({ data }) => (data.sample ? receive(data.sample) : fail(data.failure));
  setInterval(age, 1000);
}

/** Has time go on where no sample does that. */
function age() {
  if (!history.latest || document.hidden || silence() === 0) return;
  draw();
}

/** For how many seconds there has been no news, once that is too long. */
function silence() {
  const seconds = (performance.now() - heard) / 1000;
  return seconds > LATE ? seconds : 0;
}

/** The one script that is started from a name: the browser takes it from this policy and from nowhere else. */
function startWorker() {
  const url = new URL('./worker.js', import.meta.url).href;
  const policy = globalThis.trustedTypes?.createPolicy('obs', { createScriptURL: () => url });
  return new Worker(policy ? policy.createScriptURL('') : url, { type: 'module' });
}

/** Reads the catalogue, however long it takes until there is one. */
async function loadCatalogue() {
  for (;;) {
    try {
      await readCatalogue();
      return;
    } catch {
      fail('nobody answers');
      await new Promise((resolve) => setTimeout(resolve, 2000));
    }
  }
}

async function readCatalogue() {
  const response = await fetch('catalog.json', { cache: 'no-store' });
  if (!response.ok) throw new Error(`it answered ${response.status}`);
  const read = await response.json();
  const declares = ({ groups, families }) => JSON.stringify([groups, families]);
  const isSame = declares(read) === declares(catalogue);
  catalogue = read;
  // Tiles and cards are made anew only where there is something else to show.
  if (!isSame) {
    context.groups = catalogue.groups;
    context.families = new Map(catalogue.families.map((family) => [family.name, family]));
    if (history.latest) draw();
  }
  tellWhatRuns(catalogue);
  tellWarnings();
}

/** What makes numbers wrong stands above them, whatever else is shown. */
function tellWarnings() {
  const texts = warnings.texts(catalogue);
  $('warnings').replaceChildren(...texts.map((text) => el('li', {}, text)));
  $('warnings').hidden = texts.length === 0;
}

function tellWhatRuns({ service, environment, mode, app }) {
  setText($('service'), service);
  const commit = app.git_commit === 'unknown' ? null : app.git_commit.slice(0, 10);
  const facts = [mode, environment, `${app.name === service ? 'version' : app.name} ${app.version}`, commit, `Rust ${app.rust_version}`];
  $('facts').replaceChildren(...facts.filter(Boolean).map((fact) => el('span', {}, fact)));
}

function receive(sample) {
  const isFirst = history.snapshots.length === 0;
  const restarts = history.restarts.length;
  history.add(sample);
  heard = performance.now();
  if (isFirst || sample.families) findGlobals();
  began ??= sample.at;
  if (history.restarts.length > restarts) loadCatalogue();
  else if (warnings.hasNews(history.latest) || (sample.families && hasStrangers())) readCatalogue().catch(tellWarnings);
  recover();
  if (isFirst && $('search').value) search();
  const [series, samples] = [history.latest.layout.seriesCount, sample.values.length].map((count) => count.toLocaleString('en-US'));
  setText($('cost'), `${series} series in ${samples} samples, ${format(sample.bytes, 'bytes')} a scrape`);
  document.documentElement.dataset.samples = String(history.added);
  document.documentElement.dataset.at = String(sample.at);
  draw();
}

/** Whether there are families that the catalogue may have come to know since it was read. Each is asked about once. */
function hasStrangers() {
  const names = history.latest.layout.families.map(({ name }) => name);
  const isNew = (name) => !context.families.has(name) && !strangers.has(name);
  const found = names.filter(isNew);
  for (const name of found) strangers.add(name);
  return found.length > 0;
}

/** The labels that the process puts on everything, and that tell nothing apart. */
function findGlobals() {
  const { layout } = history.latest;
  const series = layout.family('app_uptime_seconds')?.series[0];
  context.globals = new Set(series?.labels.map(([name]) => name));
}

/** Draws once, however many samples came while the page could not. */
function draw() {
  if (isDrawing) return;
  isDrawing = true;
  requestAnimationFrame(() => {
    isDrawing = false;
    if (history.snapshots.length === 0) return;
    setView();
    overview.update();
    groups.update();
    tellState();
    followHash();
  });
}

/** A link to a group leads there once there is one. */
function followHash() {
  if (hasArrived) return;
  hasArrived = true;
  const id = location.hash.slice(1);
  if (!id) return;
  groups.open(id.replace(/^group-/, ''));
  document.getElementById(id)?.scrollIntoView({ block: 'start', behavior: 'instant' });
}

function setView() {
  const at = history.latest.at + silence();
  const elapsed = at - began;
  const seconds = chosenSpan ?? SPANS.find((one) => elapsed <= one) ?? SPANS.at(-1);
  Object.assign(view, { from: at - seconds, to: at, restarts: history.restarts });
  for (const button of document.querySelectorAll('[data-span]')) {
    button.setAttribute('aria-pressed', String(button.dataset.span === String(chosenSpan ?? '')));
  }
}

function tellState() {
  const silent = Math.floor(silence());
  const isDown = Boolean(failure) || silent > 0;
  const state = $('state');
  state.dataset.state = isDown ? 'down' : 'up';
  // While it is down a screen reader hears the banner, not each second.
  if (isDown) {
    setText($('state-text'), silent ? `No answer for ${span(silent)}` : 'No answer');
  } else {
    const restarted = history.restarts.at(-1);
    const note = restarted ? `, restarted ${clock(restarted)}` : '';
    setText($('state-text'), `Up ${span(value(history.latest, 'app_uptime_seconds') || 0)}${note}`);
  }
  document.documentElement.toggleAttribute('data-stale', isDown && Boolean(history.latest));
  document.title = `${isDown ? 'No answer: ' : ''}${$('service').textContent}`;
  const icon = isDown ? 'page/icon-down.svg' : 'page/icon.svg';
  if ($('icon').getAttribute('href') !== icon) $('icon').setAttribute('href', icon);
}

function fail(reason) {
  if (failure === reason) return;
  failure = reason;
  const banner = $('banner');
  const since = history.latest ? ` What is shown is from ${clock(history.latest.at)}.` : '';
  setText(banner, `The process does not give its metrics: ${reason}.${since} The page goes on asking.`);
  banner.hidden = false;
  tellState();
}

function recover() {
  failure = null;
  $('banner').hidden = true;
}

function listen() {
  document.addEventListener('visibilitychange', () => {
    // What was asked for every ten seconds is not late because of that.
    if (!failure) heard = performance.now();
    worker?.postMessage({ every: document.hidden ? HIDDEN_MS : EVERY_MS, now: !document.hidden });
  });
  document.addEventListener('keydown', onKey);
  $('search').value = new URLSearchParams(location.search).get('q') ?? '';
  $('search').addEventListener('input', search);
  addEventListener('beforeprint', () => groups.showAll());
  addEventListener('afterprint', () => groups.showSeen());
  $('theme').addEventListener('click', () => {
    const theme = isDark() ? 'light' : 'dark';
    remember('obs-theme', theme);
    setTheme(theme);
  });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', restyle);
  for (const button of document.querySelectorAll('[data-span]')) {
    button.addEventListener('click', () => {
      chosenSpan = Number(button.dataset.span) || null;
      draw();
    });
  }
}

/** Shows what is found in the place of the overview, and keeps the words in the address. */
function search() {
  const words = $('search').value.trim();
  const url = new URL(location.href);
  if (words) url.searchParams.set('q', words);
  else url.searchParams.delete('q');
  globalThis.history.replaceState(null, '', url);
  $('main').classList.toggle('searching', words !== '');
  if (!history.latest) return;
  groups.search(words);
  scrollTo({ top: 0, behavior: 'instant' });
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const search = $('search');
  if (event.target === search) {
    if (event.key !== 'Escape') return;
    search.value = '';
    search.dispatchEvent(new Event('input'));
    search.blur();
    return;
  }
  const isHeading = event.target.classList?.contains('heading');
  if (event.key === '/') {
    event.preventDefault();
    search.focus();
    search.select();
  } else if (event.key === 'j' || (isHeading && event.key === 'ArrowDown')) {
    event.preventDefault();
    step(1);
  } else if (event.key === 'k' || (isHeading && event.key === 'ArrowUp')) {
    event.preventDefault();
    step(-1);
  }
}

/** Goes to the next or the previous group, from the one that has the focus or else from what is in sight. */
function step(by) {
  const isSearching = $('main').classList.contains('searching');
  const headings = [...(isSearching ? [] : [$('overview-title')]), ...groups.headings];
  if (headings.length === 0) return;
  let from = headings.indexOf(document.activeElement);
  if (from < 0) from = headings.findLastIndex((heading) => heading.getBoundingClientRect().top < innerHeight / 3);
  const to = headings[Math.min(Math.max(from + by, 0), headings.length - 1)];
  to.focus({ preventScroll: true });
  to.scrollIntoView({ block: 'start' });
}

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
}

function setTheme(theme) {
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
  restyle();
}

function restyle() {
  $('theme').setAttribute('aria-pressed', String(isDark()));
  forgetPalette();
  overview.restyle();
  groups.restyle();
}

/** Storage may be forbidden; then nothing is remembered. */
function remembered(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

function remember(key, text) {
  try {
    localStorage.setItem(key, text);
  } catch {
    // The theme holds until the page is left.
  }
}
