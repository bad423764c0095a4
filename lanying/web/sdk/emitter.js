// Named events with any number of listeners.

export class Emitter {
  /** @type {Map<string, Set<Function>>} */
  #listeners = new Map();

  /** @param {string} name @param {(event: any) => void} listener @returns {() => void} stops listening */
  on(name, listener) {
    if (!this.#listeners.has(name)) this.#listeners.set(name, new Set());
    this.#listeners.get(name)?.add(listener);
    return () => this.#listeners.get(name)?.delete(listener);
  }

  emit(name, event) {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) listener(event);
  }
}
