// What the page is built with: the library, and one rule for what goes into the page. Text of a template is cleaned
// (`sdk/plain.js`), and what is neither text nor a piece of this page is left out: a field may hold anything.

import { html as build } from '../vendor/preact.js';
import { lines } from '../sdk/plain.js';

export * from '../vendor/preact.js';

/** How the values of a template are used: 'child', 'attribute' of an element, or '' for what stays as it is. @type {WeakMap<object, string[]>} */
const uses = new WeakMap();
/** What a person is typing stays theirs. */
const TYPED = ['value', 'defaultValue'];

/** @param {TemplateStringsArray} strings @param {any[]} values */
export function html(strings, ...values) {
  let use = uses.get(strings);
  if (!use) uses.set(strings, (use = used(strings)));
  return build(strings, ...values.map((value, at) => (use[at] === 'child' ? child(value) : use[at] && typeof value === 'string' ? lines(value) : value)));
}

/** Properties of components stay as they are: what a component shows of them passes here again. */
function used(strings) {
  let tag = false; // between < and >
  let component = false;
  return strings.slice(0, -1).map((text) => {
    const opened = text.lastIndexOf('<');
    if (opened > text.lastIndexOf('>')) [tag, component] = [true, opened === text.length - 1];
    else if (text.includes('>')) tag = false;
    const attribute = /([\w-]+)=$/.exec(text)?.[1] ?? '';
    return !tag ? 'child' : component || !attribute || TYPED.includes(attribute) ? '' : 'attribute';
  });
}

/** Values parsed from JSON have a constructor, pieces of a page have none. */
function child(value) {
  if (typeof value === 'string') return lines(value);
  if (Array.isArray(value)) return value.map(child);
  return value && typeof value === 'object' && value.constructor !== undefined ? null : value;
}
