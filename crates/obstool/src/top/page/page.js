// One row a service. Everything a service says is text, never markup.

const EVERY_MS = 2000;

const rows = document.getElementById('services');
const state = document.getElementById('state');

function el(tag, className, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

/** A link to the service's own page, where a browser can follow it. */
function nameOf({ service, url }) {
  const name = service ?? url;
  if (!/^https?:\/\//.test(url)) return name;
  const link = el('a', '', name);
  link.href = url;
  link.rel = 'noreferrer';
  return link;
}

function rowOf(row, index, all) {
  const { isUp, state, figures, alerts } = row;
  // Where several are called alike, the address tells which one this is.
  const isAlone = all.filter(({ service }) => service === row.service).length === 1;
  const facts = [row.facts, ...(isAlone ? [] : [row.url.replace(/^https?:\/\//, '')])].filter(Boolean).join(' · ');
  const list = el('dl', '', ...figures.map(({ title, text, isBad }) => el('div', '', el('dt', '', title), el('dd', isBad ? 'bad' : '', text))));
  const fires = (alerts ?? []).map(({ name, severity }) => el('div', 'firing', severity ? `${name} (${severity})` : name));
  const reads = Object.assign(el('button', 'link', 'All rules'), { type: 'button', onclick: () => open(index) });
  reads.setAttribute('aria-label', `All rules that read ${row.service ?? row.url}`);
  const rules = alerts === null ? [el('small', '', 'no Prometheus is asked')] : [...(fires.length ? fires : ['none fires']), el('small', '', reads)];
  return el(
    'tr',
    '',
    Object.assign(el('th', '', nameOf(row), el('small', '', facts)), { scope: 'row' }),
    el('td', isUp ? 'up' : 'down', state),
    el('td', '', list),
    el('td', '', ...rules),
  );
}

const section = document.getElementById('rules');
const wanted = document.getElementById('wanted');
/** The service whose rules are shown, its name, and what was read of them. */
let shown = null;
let rules = [];

/** Shows the rules that read metrics of a service. They are asked for here and not before. */
async function open(index) {
  shown = index;
  await readRules();
  section.hidden = false;
  document.getElementById('rules-title').focus();
}

async function readRules() {
  if (shown === null) return;
  const response = await fetch(`rules/${shown}.json`, { cache: 'no-store' });
  rules = response.ok ? await response.json() : [];
  showRules();
}

function showRules() {
  const words = wanted.value.toLowerCase().split(/\s+/).filter(Boolean);
  const found = rules.filter(({ name, reads }) => words.every((word) => `${name} ${reads.join(' ')}`.toLowerCase().includes(word)));
  const text = JSON.stringify(found);
  document.getElementById('rules-title').textContent = `Rules that read metrics of ${names[shown]}`;
  document.getElementById('none').textContent = `${found.length} of ${rules.length} rules`;
  if (text === said) return;
  said = text;
  document.getElementById('rule-rows').replaceChildren(...found.map(ruleOf));
}

let said = '';
let names = [];

function ruleOf({ name, query, for: time, severity, state, reads }) {
  const title = el('th', '', name, ...(severity ? [el('small', '', severity)] : []));
  return el(
    'tr',
    '',
    Object.assign(title, { scope: 'row' }),
    el('td', state, state || 'unknown'),
    el('td', '', ...reads.map((metric) => el('div', '', metric))),
    el('td', '', el('code', '', query), ...(time ? [el('small', '', `for ${time}`)] : [])),
  );
}

wanted.addEventListener('input', showRules);
document.getElementById('close').addEventListener('click', () => {
  shown = null;
  section.hidden = true;
});

let last = '';
/** Makes the rows anew; the link or the button that has the focus has it again. */
function show(services) {
  const focused = rows.contains(document.activeElement) ? document.activeElement : null;
  const place = focused && [...rows.rows].indexOf(focused.closest('tr'));
  rows.replaceChildren(...services.map(rowOf));
  if (focused) rows.rows[place]?.querySelector(focused.tagName)?.focus({ preventScroll: true });
}

async function look() {
  try {
    const response = await fetch('services.json', { cache: 'no-store' });
    const text = await response.text();
    const { services, prometheus } = JSON.parse(text);
    const down = services.filter(({ isUp }) => !isUp).length;
    const said = `${services.length} services, ${down ? `${down} without an answer` : 'all answer'}${prometheus ? `; the rules are not known: ${prometheus}` : ''}`;
    if (state.textContent !== said) state.textContent = said;
    document.title = down ? `${down} down · Services` : 'Services';
    names = services.map(({ service, url }) => service ?? url);
    if (text !== last) show(services);
    last = text;
    await readRules();
  } catch {
    state.textContent = 'obstool does not answer any more.';
  }
  setTimeout(look, EVERY_MS);
}

look();
