// The SDK's front: one user on one device.
//
//   const client = new Client('http://pi.local:8480');
//   await client.login('alice', 'secret 123');
//   client.on('message', ({ message }) => console.log(message.text));
//   await client.conversations.send(peer, false, { text: 'hello' });
//
// Events: state (string), conversations (peer), message ({ message, conversation }), typing ({ peer, active }), directory,
// left ({ gid, name }: this user is not in a group any more), notice (roster or group entry), profile, end ({ kind, error }).

import { Conversations } from './conversations.js';
import { Directory } from './directory.js';
import { Emitter } from './emitter.js';
import { Kept } from './kept.js';
import { CallError, Rest } from './rest.js';
import { Session } from './session.js';
import { MemoryStore, openStore } from './store.js';
import { ENUMS } from './schema.js';
import * as out from './outgoing.js';

/** What stands behind `/file/download/`: nothing with dots, escapes or another path in it. */
const FILE_KIND = /^[a-z]+$/;
/** Paths of files, whatever stands before them. */
const SERVED = /\/file\/(?:download\/(?:chat|avatar)|upload)$/;
/** A file's name at the server, in profiles that other clients have written. */
const OBJECT_NAME = /^[\w./=-]+$/;

const INFO_UPDATED = ENUMS.UserNoticeType.INFO_UPDATED;

export class Client extends Emitter {
  /** @type {any} */
  #fileTimer;
  #fileTokenDue = 0;

  /**
   * @param {string} url of the server
   * @param {{appId?: string, WebSocket?: any, guid?: string, info?: string, storage?: Storage | Map<string, string>, cache?: boolean}} [options]
   *   guid: name of this device; WebSocket: for Node 20; info: how device lists call it; storage: keeps the login; cache: false keeps nothing
   */
  constructor(url, options = {}) {
    super();
    this.options = options;
    this.rest = new Rest(url, options.appId ?? 'lanying');
    this.rest.onExpired = () => this.renewing || this.#ended(undefined, new CallError(402, 'the login has expired'));
    /** Servers below paths of one host share a browser's storage. */
    this.path = new URL(url).pathname.replace(/\/$/, '');
    this.storage = options.storage ?? new Kept('localStorage');
    this.uid = 0;
    /** @type {Awaited<ReturnType<typeof openStore>>} */
    this.store = new MemoryStore();
    this.state = 'offline';
    /** A new token is on its way. */
    this.renewing = false;
    this.conversations = new Conversations(this);
    this.directory = new Directory(this);
  }

  /** @returns {Promise<number>} uid @throws {CallError} 10004 or 11011: the name is taken */
  async register(username, password) {
    return (await this.rest.post('/user/register/v2', { username, password })).user_id;
  }

  /** Log in by name, or by `uid` when that is a number. @throws {CallError} */
  async login(name, password) {
    await this.rest.discover().catch((error) => {
      if (error.code) throw error; // a server without discovery is tried as it is
    });
    const grant =
      typeof name === 'number'
        ? await this.rest.post('/token/id', { user_id: name, password })
        : await this.rest.post('/token/user', { name, password });
    this.#remember('login', JSON.stringify({ uid: grant.user_id, token: grant.token }));
    await this.#start(grant.user_id, grant.token);
  }

  /** Go on with the login of an earlier visit; false when there is none. */
  async resume() {
    const { uid, token } = JSON.parse(this.#recall('login') ?? '{}');
    if (!uid) return false;
    await this.#start(uid, token);
    return true;
  }

  /** A new password. This device goes on with a new token, all others are signed out. @throws {CallError} 10001: the old one is wrong */
  async changePassword(before, after) {
    this.renewing = true;
    try {
      await this.rest.post('/user/change_password', { old_password: before, new_password: after, device_sn: this.session.sn });
      const { token } = await this.rest.post('/token/id', { user_id: this.uid, password: after });
      this.rest.token = this.session.login.token = token;
      await this.#renewFileToken();
      this.#remember('login', JSON.stringify({ uid: this.uid, token }));
      if (this.session.state === 'ended') await this.#start(this.uid, token);
    } finally {
      this.renewing = false;
    }
  }

  /** Leave this device: the server forgets its connection, the device everything. */
  async logout() {
    this.conversations.outbox.reset();
    this.session?.close();
    this.#remember('login', '');
    await this.store.clear();
    this.uid = 0;
    this.rest.token = this.rest.fileToken = '';
    clearTimeout(this.#fileTimer);
  }

  /** Disconnect and keep everything for the next visit. */
  close() {
    this.session?.close();
    clearTimeout(this.#fileTimer);
  }

  typing(peer, active) {
    this.session.send(out.typing(peer, active)).catch(() => {}); // signed out meanwhile
  }

  /**
   * Upload a file of a conversation.
   * @param {number} peer
   * @param {boolean} group
   * @param {Blob} blob
   * @param {{name: string, fileType: number, onProgress?: (share: number) => void, signal?: AbortSignal}} options fileType: 100 file, 102 picture, 103 video, 104 voice
   * @returns {Promise<string>} its address, for an attachment
   */
  async upload(peer, group, blob, { name, fileType, onProgress, signal }) {
    const ticket = await this.rest.get('/file/upload/chat', { file_type: fileType, to_id: peer, to_type: group ? 2 : 1 });
    fits(blob, ticket);
    await send(this.#here(ticket.upload_url), ticket.oss_body_param, blob, name, onProgress, signal);
    return this.#here(ticket.download_url);
  }

  /** Upload an avatar of this user, or of a group; its address. */
  async uploadAvatar(blob, gid) {
    const ticket = await this.rest.get(gid ? '/file/upload/avatar/group' : '/file/upload/avatar/user', { group_id: gid });
    fits(blob, ticket);
    await send(this.#here(ticket.upload_url), ticket.oss_body_param, blob, 'avatar');
    return this.#here(ticket.download_url);
  }

  /**
   * Address of an uploaded file, or of an avatar by its object name, for `<img>` and downloads. A file that was uploaded while the
   * server had another name, scheme or path is asked of this one. The token goes into addresses of this server's files and into no other.
   * @param {unknown} url whatever a message or profile says
   * @param {Record<string, any>} [more] for example `{ image_type: 2 }`: a thumbnail
   * @returns {string} '' for what is no web address, or leads to something else of this server
   */
  fileUrl(url, more = {}) {
    if (typeof url !== 'string') return '';
    const files = new URL(`${this.rest.url}/file/download/`);
    const address = OBJECT_NAME.test(url) ? new URL(`avatar?object_name=${encodeURIComponent(url)}`, files) : webAddress(this.#here(url));
    if (!address) return '';
    if (address.origin !== files.origin) return address.href;
    if (!address.pathname.startsWith(files.pathname) || !FILE_KIND.test(address.pathname.slice(files.pathname.length))) return '';
    for (const [key, value] of Object.entries({ 'access-token': this.rest.fileToken, app_id: this.rest.appId, ...more })) {
      address.searchParams.set(key, String(value));
    }
    return address.href;
  }

  /** A signed address of a file as this client reaches the server, whatever it is called in it; any other address as it is. @param {string} text */
  #here(text) {
    const address = webAddress(text);
    const path = address && SERVED.exec(address.pathname)?.[0];
    const signed = ['file_sign', 'object_name', 'upload_sign'].some((name) => address?.searchParams.has(name));
    return path && signed ? `${this.rest.url}${path}${address.search}` : text;
  }

  /** Address of a file for somebody else. @returns {Promise<string>} */
  async forwardFile(sign, peer, group) {
    return this.#here(await this.rest.get('/file/upload/forward', { file_sign: sign, to_id: peer, to_type: group ? 2 : 1 }));
  }

  async #start(uid, token) {
    this.uid = uid;
    this.rest.token = token;
    const found = await this.rest.discover().catch((error) => {
      if (error.code) throw error;
      return null;
    });
    await this.#renewFileToken();
    const address = found?.messages ?? `${this.rest.url.replace(/^http/, 'ws')}/xsync`;
    if (this.options.cache !== false) this.store = await openStore(`lanying-${new URL(this.rest.url).host}${this.path}-${uid}`);
    this.session = new Session(
      { address, uid, token, guid: this.#guid(uid), info: this.options.info, WebSocket: this.options.WebSocket },
      {
        onState: (state) => {
          this.state = state;
          this.emit('state', state);
          if (state === 'online') this.#online();
        },
        onEntries: (entries) => this.#entries(entries),
        onUnread: (list) => this.conversations.noticed(list),
        onEnd: (kind, error) => this.renewing || this.#ended(kind, error),
      },
    );
    await this.conversations.load();
    this.session.start();
  }

  /** Another token for addresses of files, and again when half of its time is over. Without one files are not shown. */
  async #renewFileToken() {
    clearTimeout(this.#fileTimer);
    const account = this.rest.token;
    const found = await this.rest.get('/file/token').catch(() => null);
    if (!found || account !== this.rest.token) return;
    this.rest.fileToken = found.token;
    const half = Math.max(0, found.expire * 1000 - Date.now()) / 2;
    this.#fileTokenDue = Date.now() + half;
    this.#fileTimer = setTimeout(() => this.#renewFileToken(), half);
    this.#fileTimer.unref?.(); // Node would wait for it
  }

  async #online() {
    for (const conversation of this.conversations.all.values()) conversation.asked = false;
    if (Date.now() >= this.#fileTokenDue) await this.#renewFileToken(); // the server was away, or this machine asleep
    try {
      await this.directory.load();
    } catch (error) {
      this.emit('loadFailed', error);
    }
  }

  #entries(entries) {
    for (const entry of entries) {
      if (entry.kind === 'typing') this.emit('typing', entry);
      else if (entry.kind === 'roster' || entry.kind === 'group') this.directory.apply(entry);
      else if (entry.kind === 'user' && entry.type === INFO_UPDATED) this.emit('profile', undefined);
    }
    return this.conversations.apply(entries);
  }

  #ended(kind, error) {
    this.session?.close();
    // The same device elsewhere is a second tab: the login stays good.
    if (kind !== ENUMS.UserNoticeType.KICK_BY_SAME_DEVICE) this.#remember('login', '');
    this.emit('end', { kind, error });
  }

  #guid(uid) {
    if (this.options.guid) return this.options.guid;
    const key = `guid-${uid}`;
    let guid = this.#recall(key);
    if (!guid) {
      guid = `web_${[...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(36)).join('')}`;
      this.#remember(key, guid);
    }
    return guid;
  }

  #remember(key, value) {
    const name = `lanying-${key}${this.path}`;
    if (this.storage instanceof Map) this.storage.set(name, value);
    else this.storage.setItem(name, value);
  }

  #recall(key) {
    const name = `lanying-${key}${this.path}`;
    return (this.storage instanceof Map ? this.storage.get(name) : this.storage.getItem(name)) || undefined;
  }
}

/** Of http or https, and without a name and password, which would hide where it leads. @param {string} text */
function webAddress(text) {
  try {
    const address = new URL(text);
    const web = address.protocol === 'http:' || address.protocol === 'https:';
    return web && !address.username && !address.password ? address : undefined;
  } catch {
    return undefined;
  }
}

/** What the server would refuse is not sent. @throws {CallError} 413 */
function fits({ size }, { max_bytes: most }) {
  if (most && size > most) throw new CallError(413, `the file is larger than ${Math.floor(most / 2 ** 20)} MB`);
}

/** Post a file to where a ticket says; `policy`: what a bucket wants to know. XMLHttpRequest where there is one: fetch tells nothing about progress. */
function send(address, policy, blob, name, onProgress, signal) {
  const form = new FormData();
  if (policy?.key) for (const key of ['OSSAccessKeyId', 'policy', 'signature', 'callback', 'key']) form.append(key, policy[key] ?? '');
  form.append('file', blob, name);
  const check = (text) => {
    const answer = JSON.parse(text);
    if (answer.data !== true && answer.Status !== 'OK') throw new CallError(answer.code ?? 0, answer.message ?? 'not stored');
  };
  if (!globalThis.XMLHttpRequest) {
    return fetch(address, { method: 'POST', body: form, signal }).then((response) => response.text()).then(check);
  }
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('POST', address);
    request.upload.onprogress = ({ loaded, total }) => onProgress?.(total ? loaded / total : 0);
    request.onload = () => {
      try {
        resolve(check(request.responseText));
      } catch (error) {
        reject(error);
      }
    };
    request.onerror = () => reject(new CallError(0, 'the upload was interrupted'));
    request.onabort = () => reject(new CallError(0, 'stopped'));
    signal?.addEventListener('abort', () => request.abort());
    request.send(form);
  });
}
