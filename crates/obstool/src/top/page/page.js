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

function rowOf(row) {
  const { isUp, state, facts, figures, alerts } = row;
  const list = el('dl', '', ...figures.map(({ title, text, isBad }) => el('div', '', el('dt', '', title), el('dd', isBad ? 'bad' : '', text))));
  const fires = (alerts ?? []).map(({ name, severity }) => el('div', 'firing', severity ? `${name} (${severity})` : name));
  const rules = alerts === null ? [el('small', '', 'no Prometheus is asked')] : fires.length ? fires : ['none fires'];
  return el(
    'tr',
    '',
    Object.assign(el('th', '', nameOf(row), el('small', '', facts)), { scope: 'row' }),
    el('td', isUp ? 'up' : 'down', state),
    el('td', '', list),
    el('td', '', ...rules),
  );
}

let last = '';
async function look() {
  try {
    const response = await fetch('services.json', { cache: 'no-store' });
    const text = await response.text();
    const { services, prometheus } = JSON.parse(text);
    const down = services.filter(({ isUp }) => !isUp).length;
    const said = `${services.length} services, ${down ? `${down} without an answer` : 'all answer'}${prometheus ? `; the rules are not known: ${prometheus}` : ''}`;
    if (state.textContent !== said) state.textContent = said;
    document.title = down ? `${down} down · Services` : 'Services';
    // What stays keeps its focus.
    if (text !== last) rows.replaceChildren(...services.map(rowOf));
    last = text;
  } catch {
    state.textContent = 'obstool does not answer any more.';
  }
  setTimeout(look, EVERY_MS);
}

look();
