// What a device keeps between visits: conversations, messages, what is not sent yet. IndexedDB, or memory where there is none.
//
// Both have: messages(peer, before, count), conversations(), pending(), get(key), write(changes), clear().
// `changes` are { messages, removed: [[peer, mid]], conversations, forgotten: [peer], pending, sent: [clientMid], values }.

const VERSION = 1;

/** @param {string} name of the database: one per server and user */
export async function openStore(name) {
  try {
    if (globalThis.indexedDB) return await IndexedStore.open(name);
  } catch {
    // private windows of some browsers refuse, and who blocks cookies may not even look
  }
  return new MemoryStore();
}

/** Keeps everything until the page is closed. */
export class MemoryStore {
  constructor() {
    this.data = { messages: new Map(), conversations: new Map(), pending: new Map(), values: new Map() };
  }

  async messages(peer, before, count) {
    const all = [...(this.data.messages.get(peer)?.values() ?? [])].filter(({ mid }) => mid < before);
    return all.sort((a, b) => a.mid - b.mid).slice(-count);
  }

  async conversations() {
    return [...this.data.conversations.values()];
  }

  async pending() {
    return [...this.data.pending.values()].sort((a, b) => a.clientMid - b.clientMid);
  }

  async get(key) {
    return this.data.values.get(key);
  }

  async write({ messages = [], removed = [], conversations = [], forgotten = [], pending = [], sent = [], values = {} }) {
    for (const message of messages) {
      if (!this.data.messages.has(message.peer)) this.data.messages.set(message.peer, new Map());
      this.data.messages.get(message.peer).set(message.mid, message);
    }
    for (const [peer, mid] of removed) this.data.messages.get(peer)?.delete(mid);
    for (const one of conversations) this.data.conversations.set(one.peer, one);
    for (const peer of forgotten) {
      this.data.conversations.delete(peer);
      this.data.messages.delete(peer);
    }
    for (const one of pending) this.data.pending.set(one.clientMid, one);
    for (const clientMid of sent) this.data.pending.delete(clientMid);
    for (const [key, value] of Object.entries(values)) this.data.values.set(key, value);
  }

  async clear() {
    for (const map of Object.values(this.data)) map.clear();
  }
}

/** @returns {Promise<any>} */
const done = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

class IndexedStore {
  static async open(name) {
    const request = indexedDB.open(name, VERSION);
    request.onupgradeneeded = () => {
      const base = request.result;
      base.createObjectStore('messages', { keyPath: ['peer', 'mid'] });
      base.createObjectStore('conversations', { keyPath: 'peer' });
      base.createObjectStore('pending', { keyPath: 'clientMid' });
      base.createObjectStore('values');
    };
    return new IndexedStore(await done(request));
  }

  constructor(base) {
    this.base = base;
  }

  #read(name) {
    return this.base.transaction(name).objectStore(name);
  }

  messages(peer, before, count) {
    return new Promise((resolve, reject) => {
      const found = [];
      const range = IDBKeyRange.bound([peer, 0], [peer, before], false, true);
      const request = this.#read('messages').openCursor(range, 'prev');
      request.onerror = () => reject(request.error);
      request.onsuccess = () => {
        const cursor = request.result;
        if (!cursor || found.length === count) return resolve(found.reverse());
        found.push(cursor.value);
        cursor.continue();
      };
    });
  }

  conversations() {
    return done(this.#read('conversations').getAll());
  }

  pending() {
    return done(this.#read('pending').getAll());
  }

  get(key) {
    return done(this.#read('values').get(key));
  }

  /** All of it or nothing. */
  write({ messages = [], removed = [], conversations = [], forgotten = [], pending = [], sent = [], values = {} }) {
    const change = this.base.transaction(['messages', 'conversations', 'pending', 'values'], 'readwrite');
    const stores = (name) => change.objectStore(name);
    for (const message of messages) stores('messages').put(message);
    for (const key of removed) stores('messages').delete(key);
    for (const one of conversations) stores('conversations').put(one);
    for (const peer of forgotten) {
      stores('conversations').delete(peer);
      stores('messages').delete(IDBKeyRange.bound([peer, 0], [peer, Infinity]));
    }
    for (const one of pending) stores('pending').put(one);
    for (const clientMid of sent) stores('pending').delete(clientMid);
    for (const [key, value] of Object.entries(values)) stores('values').put(value, key);
    change.commit?.(); // also when the page is being closed and nobody waits for the answers
    return new Promise((resolve, reject) => {
      change.oncomplete = () => resolve(undefined);
      change.onerror = change.onabort = () => reject(change.error);
    });
  }

  async clear() {
    const names = ['messages', 'conversations', 'pending', 'values'];
    const change = this.base.transaction(names, 'readwrite');
    for (const name of names) change.objectStore(name).clear();
  }
}
