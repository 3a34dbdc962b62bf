// Making elements. Text only ever becomes text: there is no way here to make an element from a string.

/**
 * An element with attributes and children.
 * @param {string} tag
 * @param {Object<string, any>} [attributes] `class`, `dataset`, `on…` listeners, or any attribute; null leaves it out
 * @param {...(Node|string|null)} children strings become text
 * @returns {HTMLElement}
 */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined) continue;
    if (name === 'dataset') Object.assign(element.dataset, value);
    else if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/**
 * Sets a text where it differs, so that what does not change is not laid out again.
 * @param {Node} element
 * @param {string} text
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Puts a word at the end of an element, which says that what is there has ended; an empty one takes it away.
 * @param {Element} element
 * @param {string} word
 */
export function setEnded(element, word) {
  const mark = element.querySelector(':scope > .ended');
  if (mark) setText(mark, word);
  else if (word) element.append(el('span', { class: 'ended' }, word));
  if (!word) mark?.remove();
}

/**
 * A metric's name that may be broken behind its underscores.
 * @param {string} name
 * @returns {(Node|string)[]}
 */
export function breakable(name) {
  return name.split(/(?<=_)/).flatMap((part, index) => (index ? [el('wbr'), part] : [part]));
}
