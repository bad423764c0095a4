// User text as nodes: links and line breaks, never HTML.

import { html } from './view.js';
import { words } from './i18n.js';

const LINK = /\bhttps?:\/\/[^\s<>"'，。！？；：、（）【】《》〈〉「」『』“”‘’…]+/gi;
const TRAILING = /[.,;:!?\])}]$/;
const OPENING = { ')': '(', ']': '[', '}': '{' };

/** A web address without what belongs to the sentence around it: a full stop, a bracket that was opened before it. @param {string} found */
export function addressIn(found) {
  for (;;) {
    const [last] = TRAILING.exec(found) ?? [];
    const opening = last && OPENING[last];
    if (!last || (opening && found.split(opening).length >= found.split(last).length)) return found;
    found = found.slice(0, -1);
  }
}

/** @param {string} text @returns {any[]} */
export function rich(text) {
  const nodes = [];
  let at = 0;
  for (const match of text.matchAll(LINK)) {
    const address = addressIn(match[0]);
    if (!isWeb(address)) continue;
    nodes.push(text.slice(at, match.index));
    nodes.push(html`<a href=${address} target="_blank" rel="noopener noreferrer nofollow">${address}</a>`);
    at = match.index + address.length;
  }
  nodes.push(text.slice(at));
  return nodes;
}

/** Only web addresses are ever opened. */
export function isWeb(address) {
  try {
    return ['http:', 'https:'].includes(new URL(address).protocol);
  } catch {
    return false;
  }
}

/** One to three emoji and nothing else: shown large. */
export const isEmoji = (text) => text.length < 24 && /^(\p{Extended_Pictographic}(\uFE0F|\u200D|\p{Emoji_Modifier}|\p{Extended_Pictographic})*){1,3}$/u.test(text);

/** A sentence with names in it, each read in its own direction. @param {Parameters<typeof words>[0]} key @param {Record<string, any>} values */
export const phrase = (key, values) => words(key).split(/\{(\w+)\}/).map((piece, at) => (at % 2 ? html`<bdi>${values[piece]}</bdi>` : piece));
