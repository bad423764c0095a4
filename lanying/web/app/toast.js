// Short words at the edge of the screen, read out by screen readers.

import { html, useEffect, useState } from './view.js';

const SHOWN_MS = 5_000;
let show = (_) => {};

/** @param {string} text @param {'error' | 'info'} [kind] */
export function toast(text, kind = 'info') {
  show({ text, kind, key: Date.now() + Math.random() });
}

/** Run something and tell when it fails; true when it did not. */
export async function attempt(action, done) {
  try {
    await action();
    if (done) toast(done);
    return true;
  } catch (error) {
    toast(error.message, 'error');
    return false;
  }
}

export function Toasts() {
  const [list, set] = useState([]);
  useEffect(() => {
    show = (one) => {
      set((before) => [...before.slice(-2), one]);
      setTimeout(() => set((before) => before.filter(({ key }) => key !== one.key)), SHOWN_MS);
    };
  }, []);
  return html`<div class="toasts" role="status" aria-live="polite">
    ${list.map(({ text, kind, key }) => html`<div class=${`toast ${kind}`} key=${key} dir="auto">${text}</div>`)}
  </div>`;
}
