// The metrics that the user pinned, on the first screen.

import { Card } from './card.js';

export class Pinned {
  #cards = new Map();
  #families = null;

  /**
   * @param {HTMLElement} host
   * @param {import('./card.js').Context & {pins: import('./store.js').Pins}} context
   */
  constructor(host, context) {
    this.host = host;
    this.context = context;
  }

  /** Shows the latest sample; what is pinned and is not there now comes back when it is. */
  update() {
    const { pins, history, families } = this.context;
    if (families !== this.#families) this.#forget();
    this.#families = families;
    const there = pins.names.map((name) => history.latest.layout.family(name)).filter((family) => family?.series.length);
    for (const [name, card] of this.#cards) {
      if (!there.some((family) => family.name === name)) this.#leave(name, card);
    }
    there.forEach((family, place) => this.#show(family, place));
    this.host.parentElement.hidden = there.length === 0;
  }

  restyle() {
    for (const card of this.#cards.values()) card.restyle();
  }

  #show(family, place) {
    let card = this.#cards.get(family.name);
    if (!card) {
      card = new Card(this.context, family);
      this.#cards.set(family.name, card);
    }
    if (this.host.children[place] !== card.element) this.host.insertBefore(card.element, this.host.children[place] ?? null);
    card.activate();
    card.update();
  }

  #leave(name, card) {
    card.deactivate();
    card.element.remove();
    this.#cards.delete(name);
  }

  #forget() {
    for (const [name, card] of this.#cards) this.#leave(name, card);
  }
}
