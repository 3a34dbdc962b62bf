// All families, in groups that open and close. Only cards in sight have charts.

import { Card } from './card.js';
import { el, setText } from './dom.js';
import { unitOfName } from './format.js';
import { later } from './slices.js';

/** How many cards a group begins with, and how many more each time. */
const STEP = 36;

/** With more series than this, groups begin closed; and on a phone, where the way down would be long. */
const MANY = 5000;
const PHONE = '(max-width: 720px)';

/** After how many samples families that said nothing are asked again. */
const PATIENCE = 5;

/** Where families go that no catalogue knows. */
const OTHERS = {
  id: 'others',
  title: 'Third-party',
  note: 'No declaration describes these metrics: their units are read from their names.',
};

export class Groups {
  /** Cards in sight. */
  active = new Set();
  #groups = new Map();
  #cards = new Map();
  #layout = null;
  #families = null;
  #words = [];
  /** Families that have said something: they do not fold again. */
  #heard = new Set();
  #age = 0;
  #isPrinting = false;
  /** Cards that came into sight and have no charts yet. */
  #coming = new Set();
  #activateNext = () => {
    const [card] = this.#coming;
    if (!card) return false;
    this.#coming.delete(card);
    this.active.add(card);
    card.activate();
    return this.#coming.size > 0;
  };
  /** Groups that are there and do not show their cards yet. */
  #unshown = new Set();
  #showNext = () => {
    const [group] = this.#unshown;
    if (group) this.#show(group);
    return this.#unshown.size > 0;
  };

  /**
   * @param {{host: HTMLElement, nav: HTMLElement, found: HTMLElement}} elements
   * @param {import('./card.js').Context} context
   */
  constructor(elements, context) {
    Object.assign(this, elements);
    this.context = context;
    const tell = () => this.#tellScroll();
    this.nav.addEventListener('scroll', tell, { passive: true });
    new ResizeObserver(tell).observe(this.nav);
    this.sight = new IntersectionObserver((entries) => this.#seen(entries), { rootMargin: '240px 0px' });
  }

  /** Shows the latest sample. */
  update() {
    const { layout } = this.context.history.latest;
    const { families } = this.context;
    if (families !== this.#families) this.#forget();
    if (layout !== this.#layout || families !== this.#families) {
      this.#layout = layout;
      this.#families = families;
      this.#arrange();
    } else if ((this.#age += 1) % PATIENCE === 0 && this.#hasNews()) this.#arrange();
    for (const card of this.active) card.update();
  }

  restyle() {
    for (const card of this.active) card.restyle();
  }

  /** Shows only what has these words in its name, help or labels. */
  search(text) {
    this.#words = text.toLowerCase().split(/\s+/).filter(Boolean);
    if (!this.#layout) return;
    this.#arrange();
    for (const card of this.active) card.update();
  }

  /** Makes the charts of all cards that are open, to be printed. */
  showAll() {
    this.#isPrinting = true;
    for (const { cards } of this.#groups.values()) {
      for (const { card } of cards.children) card.activate();
    }
  }

  /** Lets go of those out of sight again. */
  showSeen() {
    this.#isPrinting = false;
    for (const { cards } of this.#groups.values()) {
      for (const { card } of cards.children) if (!this.active.has(card)) card.deactivate();
    }
  }

  /** The headings that can be seen, for the keyboard. */
  get headings() {
    const groups = [...this.#groups.values()].filter(({ element }) => !element.hidden);
    return groups.map(({ button }) => button);
  }

  open(id) {
    const group = this.#groups.get(id);
    if (group && !group.isOpen) this.#toggle(group);
  }

  /** Lets go of every card: what is known of the families has changed. */
  #forget() {
    for (const card of this.#cards.values()) this.#leave(card);
    this.#cards.clear();
  }

  /** Says on which side of the menu there is more of it. */
  #tellScroll() {
    const { scrollLeft, clientWidth, scrollWidth } = this.nav;
    this.nav.classList.toggle('more-before', scrollLeft > 2);
    this.nav.classList.toggle('more-behind', scrollLeft + clientWidth < scrollWidth - 2);
  }

  /** Whether a family says something that did not until now. */
  #hasNews() {
    return this.#layout.families.some((family) => !this.#heard.has(family.name) && !this.#isQuiet(family));
  }

  /** Whether a family has nothing to say: nothing was counted or observed, nothing is defined. */
  #isQuiet({ name, kind, series }) {
    if (this.#heard.has(name)) return false;
    const { values } = this.context.history.latest;
    const says = (one) => {
      if (kind === 'gauge') return !Number.isNaN(values[one.at]);
      const value = values[one.at ?? one.count ?? one.parts?.at(-1)];
      return value !== 0 && !Number.isNaN(value);
    };
    if (!series.some(says)) return true;
    this.#heard.add(name);
    return false;
  }

  /** Puts every family that is to be seen into its group. */
  #arrange() {
    const { families, groups } = this.context;
    const members = new Map([...groups, OTHERS].map((group) => [group.id, []]));
    const place = new Map([...families.keys()].map((name, index) => [name, index]));
    const ordered = [...this.#layout.families].sort((a, b) => (place.get(a.name) ?? 1e9) - (place.get(b.name) ?? 1e9));
    let shown = 0;
    for (const family of ordered) {
      if (family.series.length === 0) continue;
      const group = members.get(families.get(family.name)?.group) ?? members.get(OTHERS.id);
      const match = this.#match(family);
      if (!match) continue;
      shown += 1;
      group.push({ family, filter: match.filter });
    }
    for (const group of [...groups, OTHERS]) this.#fill(group, members.get(group.id));
    const of = this.#layout.families.filter(({ series }) => series.length > 0).length;
    setText(this.found, this.#words.length ? foundText(shown, of, this.#words) : '');
  }

  #match({ name, help, kind, series }) {
    if (this.#words.length === 0) return { filter: null };
    const declared = this.context.families.get(name);
    const unit = declared?.unit ?? unitOfName(name, kind);
    const text = `${name} ${declared?.help ?? help} ${unit} ${kind} ${meaningOf(kind, unit)}`.toLowerCase();
    const rest = this.#words.filter((word) => !text.includes(word));
    if (rest.length === 0) return { filter: null };
    const filter = (one) => rest.every((word) => textOf(one).includes(word));
    return series.some(filter) ? { filter } : null;
  }

  #fill({ id, title, note }, members) {
    let group = this.#groups.get(id);
    if (!group) {
      if (members.length === 0) return;
      group = this.#make(id, title, note);
    }
    group.members = members;
    group.element.hidden = members.length === 0;
    group.link.hidden = members.length === 0;
    const series = members.reduce((sum, { family }) => sum + family.series.length, 0);
    const metrics = `${members.length} ${members.length === 1 ? 'metric' : 'metrics'}`;
    setText(group.count, `${metrics}, ${series.toLocaleString('en-US')} series`);
    if (!this.#unshown.has(group)) this.#show(group);
  }

  #make(id, title, note) {
    const isOpen = this.#layout.seriesCount <= MANY && !matchMedia(PHONE).matches;
    const group = { id, isOpen, showsQuiet: false, limit: STEP, members: [] };
    group.count = el('span', { class: 'count' });
    group.button = el(
      'button',
      { type: 'button', class: 'heading', 'aria-expanded': String(isOpen), 'aria-controls': `cards-${id}`, onclick: () => this.#toggle(group) },
      el('span', { class: 'mark', 'aria-hidden': 'true' }),
      title,
      group.count,
    );
    group.cards = el('div', { class: 'cards', id: `cards-${id}` });
    group.rest = el('button', { type: 'button', class: 'link rest', hidden: '', onclick: () => this.#more(group) });
    group.quiet = el('button', { type: 'button', class: 'link silent', hidden: '', 'aria-expanded': 'false', onclick: () => this.#toggleQuiet(group) });
    group.element = el(
      'section',
      { class: 'group', id: `group-${id}` },
      el('h2', {}, group.button),
      note ? el('p', { class: 'quiet' }, note) : null,
      group.cards,
      group.rest,
      group.quiet,
    );
    group.link = el('a', { href: `#group-${id}`, onclick: () => this.open(id) }, title);
    this.#groups.set(id, group);
    // All of its cards at once would take long.
    this.#unshown.add(group);
    later(this.#showNext);
    // In the order of the catalogue, also where a group comes up late.
    const order = [...this.context.groups, OTHERS].map((one) => one.id);
    const after = order.slice(order.indexOf(id) + 1).find((other) => this.#groups.has(other));
    this.host.insertBefore(group.element, this.#groups.get(after)?.element ?? null);
    this.nav.insertBefore(group.link, this.#groups.get(after)?.link ?? null);
    return group;
  }

  #toggle(group) {
    group.isOpen = !group.isOpen;
    this.#show(group);
  }

  #toggleQuiet(group) {
    group.showsQuiet = !group.showsQuiet;
    this.#show(group);
  }

  #more(group) {
    group.limit += STEP;
    this.#show(group);
  }

  #show(group) {
    this.#unshown.delete(group);
    const isOpen = group.isOpen || this.#words.length > 0;
    group.button.setAttribute('aria-expanded', String(isOpen));
    group.cards.hidden = !isOpen;
    const quiet = isOpen && this.#words.length === 0 ? group.members.filter(({ family }) => this.#isQuiet(family)) : [];
    const loud = group.showsQuiet ? group.members : group.members.filter((member) => !quiet.includes(member));
    const members = isOpen ? loud.slice(0, group.limit) : [];
    tellQuiet(group, quiet);
    const cards = members.map(({ family, filter }) => {
      const card = this.#card(family);
      card.filter(filter);
      return card;
    });
    for (const element of [...group.cards.children]) {
      if (!cards.includes(element.card)) this.#leave(element.card);
    }
    cards.forEach(({ element }, index) => {
      if (group.cards.children[index] !== element) group.cards.insertBefore(element, group.cards.children[index] ?? null);
      this.sight.observe(element);
      if (this.#isPrinting) element.card.activate();
    });
    const rest = isOpen ? loud.length - members.length : 0;
    group.rest.hidden = rest === 0;
    setText(group.rest, `Show ${Math.min(rest, STEP)} more of ${loud.length.toLocaleString('en-US')} metrics`);
  }

  #card(family) {
    let card = this.#cards.get(family.name);
    if (!card) {
      card = new Card(this.context, family);
      this.#cards.set(family.name, card);
    }
    return card;
  }

  #leave(card) {
    this.sight.unobserve(card.element);
    card.deactivate();
    this.#coming.delete(card);
    this.active.delete(card);
    card.element.remove();
  }

  #seen(entries) {
    for (const { target, isIntersecting } of entries) {
      const { card } = target;
      if (isIntersecting && target.isConnected) {
        this.#coming.add(card);
      } else {
        this.#coming.delete(card);
        this.active.delete(card);
        // On paper nothing is out of sight.
        if (!this.#isPrinting) card.deactivate();
      }
    }
    if (this.#coming.size) later(this.#activateNext);
  }
}

/** One line for all families of a group that have nothing to say. */
function tellQuiet(group, quiet) {
  group.quiet.hidden = quiet.length === 0;
  group.quiet.setAttribute('aria-expanded', String(group.showsQuiet));
  const names = quiet.map(({ family }) => family.name).join(', ');
  setText(group.quiet, group.showsQuiet ? `Fold ${quiet.length} without a value yet` : `${quiet.length} without a value yet: ${names}`);
}

/** What people call metrics of a kind and unit, beside their names. */
function meaningOf(kind, unit) {
  const words = [];
  if (kind === 'histogram' || kind === 'summary') words.push('distribution quantile percentile p50 p95 p99');
  if (kind === 'counter') words.push('rate');
  if (unit === 'seconds') words.push(kind === 'histogram' || kind === 'summary' ? 'latency duration time' : 'duration time');
  if (unit === 'bytes') words.push('size');
  if (unit === 'currency') words.push('money amount');
  if (unit === 'ratio') words.push('percent share');
  return words.join(' ');
}

function foundText(shown, of, words) {
  if (shown > 0) return `${shown} of ${of} metrics match`;
  return `Nothing matches “${words.join(' ')}”: no name, help text, label, unit or kind of ${of} metrics. Escape shows all of them.`;
}

const texts = new WeakMap();

/** The labels of a series, to be searched. */
function textOf(series) {
  let text = texts.get(series);
  if (text === undefined) {
    text = series.labels.map(([name, value]) => `${name}=${value}`).join(' ').toLowerCase();
    texts.set(series, text);
  }
  return text;
}
