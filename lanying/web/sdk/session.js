// One login of one device, across connections: frames, pull loops, answers, resending.
//
//   state      event                      does                                              next
//   offline    connect                    opens /xsync                                      connecting
//   connecting opened                     PROVISION                                         login
//   login      accepted                   unread list; everything unanswered goes again     online
//   login      refused for now            closes, waits                                     offline
//   login      refused for good, kicked   onEnd                                             ended
//   any        closed, silence            waits longer each time, then connects             offline
//
// A message keeps its client id until it is answered, and the server recognises a repetition. A NOTICE or an unread entry starts a
// pull, `next_key` acknowledges a batch and asks for the next: see docs/protocol.md.

import { decode, encode } from './wire.js';
import { ENUMS } from './schema.js';
import { SELF } from './outgoing.js';
import { readMeta } from './incoming.js';

const COMMAND = ENUMS.FrameCommand;
const CODE = ENUMS.StatusErrorCode;
const TRY_AGAIN = [CODE.UNKNOWN, CODE.FAIL, CODE.RATE_LIMIT_EXCEEDED];
/** UserNotice types that end a login. */
const LOGOUTS = [0, 1, 2, 3, 4, 5, 10];

const HEARTBEAT_MS = 20_000;
const ANSWER_MS = 15_000;
const BACKOFF_FIRST_MS = 500;
const BACKOFF_MAX_MS = 20_000;
const STABLE_MS = 10_000;
/** Ids of received entries that are remembered, so that a repetition is not shown twice. */
const SEEN_IDS = 5_000;

/** The server did not accept what was sent. */
export class Refused extends Error {
  constructor(code, reason) {
    super(reason || `status ${code}`);
    this.name = 'Refused';
    this.code = code;
  }
}

/**
 * @typedef {object} Owner what a session tells the one who made it
 * @property {(state: 'offline' | 'connecting' | 'login' | 'online' | 'ended') => void} onState
 * @property {(entries: any[], peer: number) => Promise<void> | void} onEntries a batch; it is acknowledged when this returns
 * @property {(list: {peer: number, pending: number, group: boolean}[]) => void} onUnread
 * @property {(kind: number | undefined, error: Refused | undefined) => void} onEnd kicked by a UserNotice of this type, or refused
 */

export class Session {
  /**
   * @param {{address: string, uid: number, token: string, guid: string, info?: string, WebSocket?: any}} login
   * @param {Owner} owner
   */
  constructor(login, owner) {
    this.login = login;
    this.owner = owner;
    this.sn = 0;
    this.state = 'offline';
    this.retryAt = 0;
    this.WebSocket = login.WebSocket ?? globalThis.WebSocket;
    this.socket = null;
    this.attempts = 0;
    this.onlineAt = 0;
    this.lastRead = 0;
    this.askedAt = 0;
    this.lastClientMid = 0;
    /** @type {Map<number, {outgoing: any, time: number, resolve: Function, reject: Function}>} */
    this.unanswered = new Map();
    this.pulling = new Map();
    this.pages = [];
    this.seen = new Set();
  }

  /** Connect, and stay connected until `close`. */
  start() {
    this.retry = setTimeout(() => this.#connect(), 0);
    return this;
  }

  /** Connect at once instead of waiting: the network is back, the page is visible again. */
  hurry() {
    if (this.state === 'offline') {
      clearTimeout(this.retry);
      this.#connect();
    } else if (this.state === 'online') {
      this.#heartbeat();
    }
  }

  /** Disconnect for good. */
  close() {
    this.#end();
  }

  /** A client id for a message: the clock, or one more than the last. */
  nextClientMid() {
    this.lastClientMid = Math.max(this.lastClientMid + 1, Date.now());
    return this.lastClientMid;
  }

  /**
   * Send now or after the next login. The promise settles when the server has it on its disk, or refuses.
   * @param {import('./outgoing.js').Outgoing} outgoing
   * @param {number} [clientMid] of an earlier attempt
   * @returns {Promise<{mid: number, time: number}>}
   */
  send(outgoing, clientMid = this.nextClientMid()) {
    if (this.state === 'ended') return Promise.reject(new Refused(0, 'logged out'));
    if (outgoing.fleeting) {
      if (this.state === 'online') this.#upload(clientMid, outgoing, clientMid);
      return Promise.resolve({ mid: 0, time: 0 });
    }
    return new Promise((resolve, reject) => {
      const time = outgoing.timed ? clientMid : 0;
      this.unanswered.set(clientMid, { outgoing, time, resolve, reject });
      if (this.state === 'online') this.#upload(clientMid, outgoing, time);
    });
  }

  /** A page of a conversation. @returns {Promise<{messages: import('./incoming.js').Message[], next: number}>} newest first */
  history(peer, before, amount) {
    if (this.state === 'ended') return Promise.reject(new Refused(0, 'logged out'));
    return new Promise((resolve, reject) => {
      this.pages.push({ peer, before, amount, resolve, reject });
      if (this.state === 'online') this.#askPage(peer, before, amount);
    });
  }

  // --- connection ---

  #connect() {
    this.#become('connecting');
    this.pulling.clear();
    this.lastRead = Date.now();
    const socket = (this.socket = new this.WebSocket(this.login.address));
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => socket === this.socket && this.#provision();
    socket.onmessage = (event) => socket === this.socket && this.#receive(new Uint8Array(event.data));
    socket.onclose = () => socket === this.socket && this.#lost();
    socket.onerror = () => {};
    clearInterval(this.timer);
    this.timer = setInterval(() => this.#tick(), HEARTBEAT_MS / 4);
    this.askedAt = 0;
    this.beatAt = Date.now() + HEARTBEAT_MS;
  }

  #provision() {
    this.#become('login');
    const { uid, token, guid, info } = this.login;
    this.#write(COMMAND.PROVISION, 'Provision', {
      xid: { uid, deviceSN: this.sn },
      token,
      os_type: ENUMS.ProvisionOsType.WEB,
      sdk_vsn: 'lanying.web',
      device_guid: guid,
      device_info: info ?? 'Web',
    });
  }

  #tick() {
    const now = Date.now();
    // Counted from the question, not from the last byte: browsers call timers of hidden pages once a minute.
    const asked = this.state === 'online' ? this.askedAt : this.lastRead;
    if (asked >= this.lastRead && now - asked > ANSWER_MS) this.#lost();
    else if (this.state === 'online' && now >= this.beatAt) this.#heartbeat();
  }

  #heartbeat() {
    if (this.askedAt <= this.lastRead) this.askedAt = Date.now();
    this.beatAt = Date.now() + HEARTBEAT_MS;
    this.#write(COMMAND.UNREAD);
  }

  #drop() {
    clearInterval(this.timer);
    clearTimeout(this.retry);
    const socket = this.socket;
    this.socket = null;
    socket?.close();
  }

  #lost() {
    this.#drop();
    if (this.state === 'online' && Date.now() - this.onlineAt > STABLE_MS) this.attempts = 0;
    const wait = Math.min(BACKOFF_FIRST_MS * 2 ** this.attempts, BACKOFF_MAX_MS) * (0.5 + Math.random() / 2);
    this.attempts = Math.min(this.attempts + 1, 16);
    this.retryAt = Date.now() + wait;
    this.retry = setTimeout(() => this.#connect(), wait);
    this.#become('offline');
  }

  #end(kind, error) {
    if (this.state === 'ended') return;
    this.#drop();
    this.#become('ended');
    for (const waiting of [...this.unanswered.values(), ...this.pages]) waiting.reject(error ?? new Refused(0, 'logged out'));
    this.unanswered.clear();
    this.pages = [];
    if (kind !== undefined || error) this.owner.onEnd(kind, error);
  }

  #become(state) {
    this.state = state;
    this.owner.onState(state);
  }

  // --- frames ---

  #write(command, name, fields) {
    if (this.socket?.readyState !== 1) return;
    this.socket.send(encode('Frame', { vsn: 0, compress_method: 0, command, payload: name && encode(name, fields) }));
  }

  #receive(bytes) {
    this.lastRead = Date.now();
    const { command, payload } = decode('Frame', bytes);
    if (command === COMMAND.PROVISION) this.#provisioned(decode('Provision', payload));
    else if (command === COMMAND.UNREAD) this.#unread(decode('UnreadDL', payload));
    else if (command === COMMAND.NOTICE) this.#notice(decode('Notice', payload).xid?.uid ?? 0);
    else if (command === COMMAND.SYNC) this.#sync(decode('SyncDL', payload));
  }

  /** @param {Record<string, any>} answer a Provision */
  #provisioned({ status, xid }) {
    if (this.state !== 'login') return;
    if (status.code !== CODE.OK) {
      if (TRY_AGAIN.includes(status.code)) this.#lost();
      else this.#end(undefined, new Refused(status.code, status.reason));
      return;
    }
    this.sn = xid.deviceSN;
    this.onlineAt = Date.now();
    this.#become('online');
    this.#heartbeat();
    for (const [clientMid, { outgoing, time }] of this.unanswered) this.#upload(clientMid, outgoing, time);
    for (const { peer, before, amount } of this.pages) this.#askPage(peer, before, amount);
  }

  /** @param {Record<string, any>} answer an UnreadDL */
  #unread({ unread }) {
    const list = unread.map(({ xid, n, type }) => ({ peer: xid?.uid ?? 0, pending: n, group: type === 2, internal: type === 0 }));
    this.owner.onUnread(list.filter((entry) => !entry.internal));
    for (const { peer, pending } of list) if (pending && !this.pulling.has(peer)) this.#pull(peer);
  }

  #notice(peer) {
    if (this.pulling.has(peer)) this.pulling.set(peer, true);
    else this.#pull(peer);
  }

  #pull(peer, key) {
    if (!this.pulling.has(peer)) this.pulling.set(peer, false);
    this.#write(COMMAND.SYNC, 'SyncUL', { xid: { uid: peer }, key });
  }

  #askPage(peer, before, amount) {
    this.#write(COMMAND.SYNC, 'SyncUL', { xid: { uid: peer, deviceSN: 0 }, key: before, is_full_sync: true, full_sync_num: amount });
  }

  #upload(clientMid, { to, ns, payload }, time) {
    const { uid } = this.login;
    this.#write(COMMAND.SYNC, 'SyncUL', {
      meta: {
        id: clientMid,
        from: { uid, deviceSN: this.sn },
        to: to === undefined ? undefined : to === SELF ? { uid, deviceSN: this.sn } : { uid: to, deviceSN: 0 },
        timestamp: time || undefined,
        ns,
        payload,
      },
    });
  }

  #sync(answer) {
    if (answer.client_mid) this.#answered(answer.client_mid, answer);
    else if (answer.status?.code !== CODE.OK) this.#refusedRecall(answer);
    else if (answer.is_full_sync) this.#page(answer);
    else this.#batch(answer);
  }

  #answered(clientMid, { status, server_mid: mid, server_time: time }) {
    const waiting = this.unanswered.get(clientMid);
    if (!waiting) return;
    this.unanswered.delete(clientMid);
    if (status.code === CODE.OK) waiting.resolve({ mid, time });
    else waiting.reject(new Refused(status.code, status.reason));
  }

  /** A refused recall is not named, but answers come in order: it is the oldest one. */
  #refusedRecall(answer) {
    for (const [clientMid, { outgoing }] of this.unanswered) {
      if (outgoing.recall) return this.#answered(clientMid, answer);
    }
  }

  #page({ xid, metas, next_key: next }) {
    if (this.pages[0]?.peer !== (xid?.uid ?? 0)) return;
    const { resolve } = this.pages.shift();
    const entries = metas.map((meta) => readMeta(meta, this.login.uid));
    resolve({ messages: entries.filter(({ kind }) => kind === 'message').map(({ message }) => message), next });
  }

  async #batch({ xid, metas, next_key: key }) {
    const peer = xid?.uid ?? 0;
    const socket = this.socket;
    const fresh = [];
    for (const meta of metas) {
      if (meta.id && this.seen.has(meta.id)) continue;
      this.#remember(meta.id);
      const entry = readMeta(meta, this.login.uid);
      if (entry.kind === 'user' && LOGOUTS.includes(entry.type)) return this.#end(entry.type);
      fresh.push(entry);
    }
    if (fresh.length) await this.owner.onEntries(fresh, peer);
    if (socket !== this.socket) return;
    if (key) this.#pull(peer, key);
    else if (this.pulling.get(peer)) {
      this.pulling.delete(peer);
      this.#pull(peer);
    } else this.pulling.delete(peer);
  }

  #remember(id) {
    this.seen.add(id);
    if (this.seen.size > SEEN_IDS) this.seen.delete(this.seen.values().next().value);
  }
}
