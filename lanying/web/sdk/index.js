// lanying for JavaScript: browsers, and Node 20 or newer (give it a WebSocket there: `new Client(url, { WebSocket })`).

export { Client } from './client.js';
export { CallError, Rest } from './rest.js';
export { Refused, Session } from './session.js';
export { MemoryStore, openStore } from './store.js';
export { ENUMS, MESSAGES } from './schema.js';
export { line, lines } from './plain.js';
export { decode, encode, WireError } from './wire.js';
export * as outgoing from './outgoing.js';
