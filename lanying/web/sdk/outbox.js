// What is on its way out: texts and files of one conversation leave in the order in which they were given. A file is kept like a
// text until the server has it: without a network it waits, and after the page was closed it is sent from the store.

import * as out from './outgoing.js';

const RETRIES = 5;
const RETRY_MS = 1_000;
const STEP = 0.01;

/**
 * @typedef {object} Upload
 * @property {Blob} blob
 * @property {string} name
 * @property {number} fileType of the ticket, see Client.upload
 * @property {Promise<object> | object} [details] more of its attachment, for example width and height
 */

/**
 * @typedef {object} Item
 * @property {number} peer
 * @property {boolean} group
 * @property {number} clientMid
 * @property {import('./timeline.js').Fields} fields
 * @property {Upload} [upload]
 * @property {AbortController} control
 * @property {(value?: any) => void} done
 */

const json = (value) => (value && Object.keys(value).length ? JSON.stringify(value) : '');

export class Outbox {
  /**
   * @param {import('./client.js').Client} client
   * @param {{onSent: (item: Item, answer: {mid: number, time: number}) => void, onFailed: (item: Item, error: any) => void,
   *   onShare: (item: Item, share: number) => void, onUploaded: (item: Item) => void}} owner
   */
  constructor(client, owner) {
    this.client = client;
    this.owner = owner;
    /** What waits behind a file, by conversation. @type {Map<number, Item[]>} */
    this.lanes = new Map();
    /** Files of messages that are not accepted yet, by client id. @type {Map<number, Upload>} */
    this.uploads = new Map();
  }

  /** @param {Omit<Item, 'control' | 'done'>} given @returns {Promise<void>} settles when the server has it or refuses it */
  add(given) {
    return new Promise((done) => {
      const item = { ...given, control: new AbortController(), done };
      if (item.upload) this.uploads.set(item.clientMid, item.upload);
      const lane = this.lanes.get(item.peer);
      if (lane) lane.push(item);
      else if (!item.upload) this.#deliver(item);
      else this.#run(item);
    });
  }

  /** Send no more of a message. */
  stop(peer, clientMid) {
    this.uploads.delete(clientMid);
    this.lanes.get(peer)?.find((item) => item.clientMid === clientMid)?.control.abort();
  }

  /** Forget everything: it is in the store. */
  reset() {
    for (const lane of this.lanes.values()) for (const { control } of lane) control.abort();
    this.lanes.clear();
    this.uploads.clear();
  }

  async #run(first) {
    const lane = [first];
    this.lanes.set(first.peer, lane);
    while (lane.length && this.lanes.get(first.peer) === lane) {
      const [item] = lane;
      const ready = !item.upload || (await this.#uploaded(item));
      if (ready && !item.control.signal.aborted) this.#deliver(item); // the session keeps the order
      else item.done();
      lane.shift();
    }
    if (this.lanes.get(first.peer) === lane) this.lanes.delete(first.peer);
  }

  /** The file is at the server: true. */
  async #uploaded(item) {
    try {
      const details = await item.upload.details;
      const url = await this.#upload(item);
      if (!url) return false;
      item.fields = { ...item.fields, attachment: { ...item.fields.attachment, ...details, url } };
      item.upload = undefined;
      this.owner.onUploaded(item);
      return true;
    } catch (error) {
      if (!item.control.signal.aborted) this.owner.onFailed(item, error);
      return false;
    }
  }

  /** @param {Item} item @returns {Promise<string>} '' when it was stopped @throws {Error} refused, or it does not work */
  async #upload(item) {
    const { peer, group, control: { signal } } = item;
    const { blob, name, fileType } = /** @type {Upload} */ (item.upload);
    let shown = 0;
    const onProgress = (share) => {
      if (share - shown < STEP) return;
      shown = share;
      this.owner.onShare(item, share);
    };
    for (let attempt = 0; ; attempt += 1) {
      await this.#online(signal);
      if (signal.aborted) return '';
      try {
        return await this.client.upload(peer, group, blob, { name, fileType, signal, onProgress });
      } catch (error) {
        if (signal.aborted) return '';
        if (error.code || attempt === RETRIES) throw error;
        shown = 0;
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS * 2 ** attempt));
        if (this.client.state !== 'online') attempt = -1;
      }
    }
  }

  /** Resolves when there is a connection, or the wait is over. */
  #online(signal) {
    return new Promise((resolve) => {
      if (signal.aborted || this.client.state === 'online') return resolve(undefined);
      const stop = this.client.on('state', (state) => state === 'online' && end());
      const end = () => {
        stop();
        resolve(undefined);
      };
      signal.addEventListener('abort', end, { once: true });
    });
  }

  async #deliver(item) {
    const { peer, group, clientMid, fields } = item;
    const { text = '', ctype = 0, attachment, ext, config } = fields;
    const message = out.message(peer, { text, ctype, group, attachment: json(attachment), ext: json(ext), config: json(config) });
    try {
      const answer = await this.client.session.send(message, clientMid);
      this.owner.onSent(item, answer);
      this.uploads.delete(clientMid);
    } catch (error) {
      if (this.client.session.state !== 'ended') this.owner.onFailed(item, error); // else it goes out after the next login
    }
    item.done();
  }
}
