// What a browser keeps by name. Some throw when it is only looked at (cookies are blocked) or full: then it lasts as long as the page.

export class Kept {
  #values = new Map();
  /** @type {Storage | undefined} */
  #browser;

  /** @param {'localStorage' | 'sessionStorage'} which */
  constructor(which) {
    try {
      this.#browser = globalThis[which];
    } catch {
      // blocked
    }
  }

  /** @param {string} name @returns {string | null} */
  getItem(name) {
    try {
      return this.#values.get(name) ?? this.#browser?.getItem(name) ?? null;
    } catch {
      return null;
    }
  }

  /** @param {string} name @param {string} value */
  setItem(name, value) {
    try {
      this.#values.delete(name);
      if (this.#browser) return this.#browser.setItem(name, value);
    } catch {
      // full, or blocked
    }
    this.#values.set(name, value);
  }
}

export const LOCAL = new Kept('localStorage');
