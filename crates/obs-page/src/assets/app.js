// The page: asks through its worker, remembers, and shows.

import { Groups } from './groups.js';
import { History, value } from './history.js';
import { Overview } from './overview.js';
import { readMemory } from './memory.js';
import { clock, format, span } from './format.js';
import { el, setText } from './dom.js';
import { LEAST_SPAN, figuresView, forgetPalette, view } from './chart.js';
import { Joined } from './parts.js';
import { Pinned } from './pinned.js';
import { PROCESS, headlineOf, processesOf, summaryOf } from './processes.js';
import { Pins, openStore } from './store.js';
import { Sheet } from './sheet.js';
import { later } from './slices.js';
import { Warnings } from './warnings.js';

/** How often to ask while the page is looked at, and while it is hidden: then only so that history has no holes. */
const EVERY_MS = 1000;
const HIDDEN_MS = 10_000;

/** What is shown until somebody chooses, in seconds: the shortest of these that has room for all there is, and little more. */
const SPANS = [15, 20, 30, 45, 60, 75, 90, 120, 150, 180, 240, 300, 360, 480, 600, 720, 900];

/** What the chosen theme is remembered under. */
const THEME = 'obs-theme';

/** Without news for this long, in seconds, what is shown is old. */
const LATE = 3;

const $ = (id) => document.getElementById(id);

const history = new History();
const context = { history, families: new Map(), groups: [], globals: new Set(), gone: new Map(), memory: new Map(), pins: new Pins(null) };
const overview = new Overview($('tiles'), context);
const pinned = new Pinned($('pinned-cards'), context);
const sheet = new Sheet($('sheet'), context, { changed: writeAddress, pinned: draw });
context.open = (name) => sheet.open(name);
const groups = new Groups({ host: $('all'), nav: $('groups'), found: $('found') }, context);

const warnings = new Warnings();
/** Names that stand in no catalogue so far. */
const strangers = new Set();

let catalogue = {};
/** On the page of an agent its processes; null on that of a service. */
let processes = null;
/** How many processes there is room for. */
const MOST_PROCESSES = 24;
let chosenSpan = null;
/** The stretch of time that is shown while time goes on; null while charts follow it. */
let fixed = null;
let began = null;
/** The first moment of which figures are remembered; infinite where none is. */
let remembers = Infinity;
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
  setTheme(remembered(THEME));
  listen();
  await loadCatalogue();
  const isRemembering = await recallFigures();
  await readPins();
  worker = startWorker();
  worker.postMessage({ keeps: isRemembering });
  const arrived = new Joined();
  worker.onmessage = ({ data: { part, past, sample, failure } }) => {
    if (part) arrived.add(part);
    else if (past) recall({ ...past, families: arrived.take() });
    else if (sample) receive({ families: arrived.take(), ...sample });
    else fail(failure);
  };
  setInterval(age, 1000);
}

/** Reads what figures showed before; false where the process is to remember nothing, and neither is this browser. */
async function recallFigures() {
  try {
    const memory = await readMemory();
    context.memory = memory ?? new Map();
    for (const { times } of context.memory.values()) remembers = Math.min(remembers, times[0] ?? Infinity);
    return memory !== null;
  } catch {
    // The figures begin now; what is kept here is kept.
    return true;
  }
}

/** Reads what the user pinned. That is kept whether or not samples are. */
async function readPins() {
  context.pins = new Pins(await openStore(), draw);
  await context.pins.read().catch(() => {});
}

/** A sample from before the page was loaded anew. */
function recall(sample) {
  history.add(sample);
  began ??= sample.at;
}

/** Has time go on where no sample does that. */
function age() {
  if (!history.latest || document.hidden || silence() === 0 || fixed) return;
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

/** Of several programs nothing is known that does not hold for all; the document has a name for them. */
function tellWhatRuns({ service, environment, mode, app }) {
  if (service) setText($('service'), service);
  const commit = !app?.git_commit || app.git_commit === 'unknown' ? null : app.git_commit.slice(0, 10);
  const version = app && `${app.name === service ? 'version' : app.name} ${app.version}`;
  const facts = [mode, environment, version, commit, app?.rust_version && `Rust ${app.rust_version}`];
  $('facts').replaceChildren(...facts.filter(Boolean).map((fact) => el('span', {}, fact)));
}

function receive(sample) {
  const isFirst = !document.documentElement.dataset.samples;
  const restarts = history.restarts.length;
  history.add(sample);
  heard = performance.now();
  if (isFirst || sample.families) findGlobals();
  const areOther = findProcesses();
  began ??= sample.at;
  if (history.restarts.length > restarts) loadCatalogue();
  else if (areOther && !isFirst) readCatalogue().catch(tellWarnings);
  else if (warnings.hasNews(history.latest) || (sample.families && hasStrangers())) readCatalogue().catch(tellWarnings);
  recover();
  if (isFirst && $('search').value) search();
  const [series, samples] = [history.latest.layout.seriesCount, sample.values.length].map((count) => count.toLocaleString('en-US'));
  setText($('cost'), `${series} series in ${samples} samples, ${format(sample.bytes, 'bytes')} a scrape`);
  document.documentElement.dataset.samples = String(history.added);
  document.documentElement.dataset.kept = String(history.snapshots.length);
  document.documentElement.dataset.at = String(sample.at);
  // What is held still is drawn once, and again where that is asked for.
  if (fixed && hasArrived) tellState();
  else draw();
}

/** Whether there are families that the catalogue may have come to know since it was read. Each is asked about once. */
function hasStrangers() {
  const names = history.latest.layout.families.map(({ name }) => name);
  const isNew = (name) => !context.families.has(name) && !strangers.has(name);
  const found = names.filter(isNew);
  for (const name of found) strangers.add(name);
  return found.length > 0;
}

/** The labels that the process puts on everything, and that tell nothing apart; where there are several, those that all of them do. */
function findGlobals() {
  const { layout } = history.latest;
  const [first, ...others] = layout.family('app_uptime_seconds')?.series ?? [];
  const areMany = processesOf(history.latest) !== null;
  const isShared = ([name, value]) => others.every(({ labels }) => labels.some(([key, other]) => key === name && other === value));
  const shared = (first?.labels ?? []).filter((label) => isShared(label) && !(areMany && label[0] === PROCESS));
  context.globals = new Set(shared.map(([name]) => name));
}

/** Looks which processes live; whether that is otherwise than before. */
function findProcesses() {
  const said = (some) => some?.map(({ name, state }) => `${name} ${state}`).join('\n');
  const before = said(processes);
  processes = processesOf(history.latest);
  const isOther = said(processes) !== before;
  if (isOther) {
    const gone = (processes ?? []).filter(({ state }) => state === 'dead' || state === 'ended');
    context.gone = new Map(gone.map(({ name, state }) => [name, state]));
    tellGone();
  }
  tellProcesses();
  return isOther;
}

/** What one has to know of the processes before looking at a number. */
function tellGone() {
  const noted = (processes ?? []).filter(({ note }) => note);
  $('gone').replaceChildren(...noted.map(({ name, note }) => el('li', {}, el('b', {}, name), ` ${note}.`)));
  $('gone').hidden = noted.length === 0;
}

/** Each process with its state, as a button that shows what it measures alone. */
function tellProcesses() {
  const list = $('processes');
  list.hidden = !processes;
  if (!processes) return;
  const shown = processes.slice(0, MOST_PROCESSES);
  const id = shown.map(({ name }) => name).join('\n');
  if (list.dataset.of !== id) {
    list.dataset.of = id;
    const button = ({ name }) => el('button', { type: 'button', class: 'process', onclick: () => searchFor(`${PROCESS}=${name}`) }, el('span', { class: 'dot' }), el('b', {}, name), el('span'));
    const rest = processes.length - shown.length;
    list.replaceChildren(...shown.map((process) => el('li', {}, button(process))), ...(rest ? [el('li', {}, `and ${rest} more`)] : []));
  }
  shown.forEach(({ state, text }, index) => {
    const { firstChild: button } = list.children[index];
    button.dataset.state = state;
    setText(button.lastChild, text);
  });
}

/** Searches for this, or shows all again where it is searched for already. */
function searchFor(words) {
  $('search').value = $('search').value === words ? '' : words;
  search();
}

/** Draws once, however many samples came while the page could not: what is looked at first in one frame, the rest in the next. */
function draw() {
  if (isDrawing) return;
  isDrawing = true;
  requestAnimationFrame(() => {
    isDrawing = history.snapshots.length > 0;
    if (!isDrawing) return;
    setView();
    overview.update();
    sheet.update();
    tellState();
    if (overview.isComing) later(tellState);
    requestAnimationFrame(() => {
      isDrawing = false;
      pinned.update();
      groups.update();
      if (!hasArrived) later(followAddress);
    });
  });
}

/** A link to a metric or a group leads there once there is one. */
function followAddress() {
  hasArrived = true;
  sheet.restore(new URLSearchParams(location.search));
  const id = location.hash.slice(1);
  if (!id) return;
  groups.open(id.replace(/^group-/, ''));
  document.getElementById(id)?.scrollIntoView({ block: 'start', behavior: 'instant' });
}

function setView() {
  const at = history.latest.at + silence();
  const since = (first) => at - (chosenSpan ?? SPANS.find((one) => at - first <= one) ?? SPANS.at(-1));
  const follows = (first) => ({ from: since(first), to: at });
  for (const [seen, first] of [[view, began], [figuresView, Math.min(began, remembers)]]) {
    Object.assign(seen, fixed ?? follows(first), { isFixed: Boolean(fixed), restarts: history.restarts });
  }
  $('pause').setAttribute('aria-pressed', String(Boolean(fixed)));
  setText($('pause'), fixed ? `Paused ${clock(fixed.from)} to ${clock(fixed.to)}` : 'Pause');
  for (const button of document.querySelectorAll('[data-span]')) {
    button.setAttribute('aria-pressed', String(button.dataset.span === String(chosenSpan ?? '')));
  }
}

function tellState() {
  const silent = Math.floor(silence());
  const isDown = Boolean(failure) || silent > 0;
  const state = $('state');
  const trouble = processes ? headlineOf(processes) : '';
  state.dataset.state = isDown || trouble ? 'down' : 'up';
  // While it is down a screen reader hears the banner, not each second.
  if (isDown) {
    setText($('state-text'), silent ? `No answer for ${span(silent)}` : 'No answer');
  } else if (processes) {
    setText($('state-text'), summaryOf(processes));
  } else {
    const restarted = history.restarts.at(-1);
    const note = restarted ? `, restarted ${clock(restarted)}` : '';
    setText($('state-text'), `Up ${span(value(history.latest, 'app_uptime_seconds') || 0)}${note}`);
  }
  document.documentElement.toggleAttribute('data-stale', isDown && Boolean(history.latest));
  const headline = isDown ? 'No answer' : trouble || overview.headline;
  document.title = `${headline ? `${headline}${isDown ? ': ' : ' · '}` : ''}${$('service').textContent}`;
  // Red where nobody answers, and where somebody should look.
  const icon = isDown || trouble || overview.isBad ? 'page/icon-down.svg' : 'page/icon.svg';
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
  const parameters = new URLSearchParams(location.search);
  $('search').value = parameters.get('q') ?? '';
  chosenSpan = Number(parameters.get('span')) || null;
  const [from, to] = [Number(parameters.get('from')), Number(parameters.get('to'))];
  if (to - from >= LEAST_SPAN) fixed = { from, to };
  $('pause').addEventListener('click', () => hold(fixed ? null : stretch()));
  document.addEventListener('zoom', ({ detail }) => hold(detail));
  document.addEventListener('dblclick', ({ target }) => {
    if (fixed && target.closest?.('.plot, .sheet-plot')) hold(null);
  });
  $('search').addEventListener('input', search);
  addEventListener('beforeprint', () => groups.showAll());
  addEventListener('afterprint', () => groups.showSeen());
  $('theme').addEventListener('click', () => {
    const theme = isDark() ? 'light' : 'dark';
    remember(THEME, theme);
    setTheme(theme);
  });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', restyle);
  // Chosen in another tab.
  addEventListener('storage', ({ key, newValue }) => key === THEME && setTheme(newValue));
  for (const button of document.querySelectorAll('[data-span]')) {
    button.addEventListener('click', () => {
      chosenSpan = Number(button.dataset.span) || null;
      hold(null);
    });
  }
}

/** Shows what is found in the place of the overview, and keeps the words in the address. */
function search() {
  const words = $('search').value.trim();
  writeAddress();
  $('main').classList.toggle('searching', words !== '');
  if (!history.latest) return;
  groups.search(words);
  scrollTo({ top: 0, behavior: 'instant' });
}

/** Keeps what is looked at in the address, for a link or for loading the page anew. */
function writeAddress() {
  const url = new URL(location.href);
  const shown = {
    q: $('search').value.trim() || null,
    span: chosenSpan && String(chosenSpan),
    from: fixed && fixed.from.toFixed(1),
    to: fixed && fixed.to.toFixed(1),
    ...(sheet.parameters ?? { metric: null, where: null, by: null, log: null, sort: null }),
  };
  for (const [name, text] of Object.entries(shown)) {
    if (text) url.searchParams.set(name, text);
    else url.searchParams.delete(name);
  }
  globalThis.history.replaceState(null, '', url);
}

/** Holds every chart at a stretch of time, or has them follow time again. */
function hold(stretch) {
  fixed = stretch;
  writeAddress();
  draw();
}

/** The longest stretch of time that is looked at. */
function stretch() {
  return { from: Math.min(view.from, figuresView.from), to: view.to };
}

/** Keys that move through time; whether it was one. */
function moveInTime(key) {
  const { from, to } = stretch();
  const span = to - from;
  if (key === 'p') hold(fixed ? null : { from, to });
  else if (key === '+') hold({ from: to - Math.max(span / 2, LEAST_SPAN), to });
  else if (key === '-') hold({ from: to - span * 2, to });
  else if (fixed && key === 'ArrowLeft') hold({ from: from - span / 4, to: to - span / 4 });
  else if (fixed && key === 'ArrowRight') hold({ from: from + span / 4, to: to + span / 4 });
  else return false;
  return true;
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const isTyping = event.target.matches?.('input, textarea') && !event.target.readOnly;
  if (!isTyping && history.latest && moveInTime(event.key)) {
    event.preventDefault();
    return;
  }
  if ($('sheet').open) return;
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
  pinned.restyle();
  sheet.restyle();
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
