// What this user sees: conversations, their messages, unread counts, marks. Applies what arrives, keeps it in the store. One module,
// because all of it alters the same values; what they are is in `timeline.js`, what is on its way out in `outbox.js`.
//
// `from` of a conversation is the oldest message since when the device has all of them; older ones come from the server.

import { Outbox } from './outbox.js';
import { ENUMS } from './schema.js';
import * as out from './outgoing.js';
import { empty, isUnread, merge, names, pending, replace, row } from './timeline.js';

const OP = ENUMS.MessageOperationOpType;
/** Operations that change a message, wherever it is kept. */
const CHANGES = [OP.RECALL, OP.REPLACE, OP.APPEND, OP.DELETE];
const PAGE = 30;
/** Read marks sent one by one at most when a conversation is opened; the newest of them says it for the rest. */
const READ_ACKS = 50;
/** Messages of one conversation kept in memory while it is not open. */
const RESTING = 60;

/** @typedef {import('./timeline.js').Conversation} Conversation */
/** @typedef {import('./timeline.js').Draft} Draft */
/** @typedef {import('./timeline.js').Fields} Fields */

export class Conversations {
  /**
   * @param {import('./client.js').Client} client
   */
  constructor(client) {
    this.client = client;
    /** @type {Map<number, Conversation>} */
    this.all = new Map();
    this.openPeer = 0;
    this.changes = this.#noChanges();
    this.outbox = new Outbox(client, {
      onShare: (item, share) => this.#unsent(item, { share }),
      onUploaded: (item) => {
        this.changes.pending.push(pending(item));
        this.#unsent(item, { attachment: item.fields.attachment, share: undefined });
      },
      onSent: (item, answer) => this.#sent(item, answer),
      onFailed: ({ upload, ...item }, error) => {
        this.changes.sent.push(item.clientMid);
        this.#unsent(item, { state: 'failed', share: undefined, error: error.message, code: error.code });
      },
    });
  }

  /** Read the store; what was not sent goes out again with the id it had. */
  async load() {
    this.outbox.reset();
    for (const stored of await this.client.store.conversations()) this.all.set(stored.peer, { ...stored, messages: [] });
    for (const { peer, group, clientMid, fields, upload } of await this.client.store.pending()) {
      this.#send(this.get(peer, group), fields, clientMid, upload);
    }
  }

  /** Newest first, pinned ones before. */
  list() {
    return [...this.all.values()]
      .filter(({ order }) => order > 0)
      .sort((a, b) => Number(b.pinned ?? false) - Number(a.pinned ?? false) || b.order - a.order);
  }

  get unread() {
    let count = 0;
    for (const conversation of this.all.values()) count += conversation.unread;
    return count;
  }

  /** @returns {Conversation} */
  get(peer, group = false) {
    let found = this.all.get(peer);
    if (!found) {
      found = empty(peer, group);
      this.all.set(peer, found);
    }
    return found;
  }

  // --- reading ---

  /** Show a conversation: what the device has at once, then what the server has. */
  async open(peer, group) {
    const conversation = this.get(peer, group);
    this.openPeer = peer;
    if (conversation.messages.length < PAGE && conversation.from) {
      merge(conversation, await this.client.store.messages(peer, Number.MAX_SAFE_INTEGER, PAGE));
      this.#tell(conversation);
    }
    if (!conversation.checked || !conversation.from) await this.#newest(conversation);
  }

  /**
   * The message that another one names: null when it is not there (any more), undefined while it is looked for; `conversations`
   * tells when it is found.
   * @param {Conversation} conversation @param {number} mid
   */
  quoted(conversation, mid) {
    const found = conversation.messages.find((one) => one.mid === mid);
    conversation.quoted ??= new Map();
    if (found || conversation.quoted.has(mid)) return found ?? conversation.quoted.get(mid);
    conversation.quoted.set(mid, undefined);
    this.#find(conversation, mid).then(
      (one) => (conversation.quoted?.set(mid, one), this.client.emit('conversations', conversation.peer)),
      () => conversation.quoted?.delete(mid), // offline: asked again when it is shown again
    );
    return undefined;
  }

  async #find({ peer }, mid) {
    const [kept] = await this.client.store.messages(peer, mid + 1, 1);
    if (kept?.mid === mid) return kept;
    const { messages } = await this.client.session.history(peer, mid + 1, 1);
    return messages[0]?.mid === mid ? messages[0] : null;
  }

  close() {
    const conversation = this.all.get(this.openPeer);
    if (conversation && conversation.messages.length > RESTING) conversation.messages = conversation.messages.slice(-RESTING);
    this.openPeer = 0;
  }

  /** Only the last message, for a list. */
  preview(conversation) {
    if (conversation.last || conversation.checked || conversation.asked) return;
    conversation.asked = true;
    this.#newest(conversation).catch(() => (conversation.asked = false));
  }

  /** Older messages; false when there are none. */
  async older(peer) {
    const conversation = this.get(peer);
    const oldest = conversation.messages.find(({ mid }) => mid)?.mid;
    if (!oldest) return false;
    if (oldest > conversation.from) {
      const kept = await this.client.store.messages(peer, oldest, PAGE);
      const usable = kept.filter(({ mid }) => mid >= conversation.from);
      if (usable.length) {
        merge(conversation, usable);
        this.#tell(conversation);
        return true;
      }
    }
    if (conversation.end) return false;
    const { messages } = await this.client.session.history(peer, oldest, PAGE);
    if (messages.length) conversation.from = messages.at(-1)?.mid ?? conversation.from;
    else conversation.end = true;
    merge(conversation, messages);
    this.#keep(conversation, messages);
    this.#tell(conversation);
    return messages.length > 0;
  }

  async #newest(conversation) {
    const { messages } = await this.client.session.history(conversation.peer, 0, PAGE);
    conversation.checked = true;
    const oldest = messages.at(-1)?.mid ?? 0;
    const overlap = conversation.from && conversation.last?.mid && oldest <= conversation.last.mid;
    if (messages.length && !overlap) {
      conversation.messages = conversation.messages.filter(({ mid }) => !mid || mid > (messages[0]?.mid ?? 0));
      conversation.from = oldest;
      conversation.end = false;
      if (!conversation.last) conversation.unread = messages.filter((one) => isUnread(this.client.uid, conversation, one)).length;
    }
    if (messages.length < PAGE && !overlap) conversation.end = true;
    merge(conversation, messages);
    this.#keep(conversation, messages);
    this.#tell(conversation);
  }

  /** The user has seen this conversation, up to a message. */
  markRead(peer, upTo = Infinity) {
    const conversation = this.all.get(peer);
    const last = conversation?.messages.findLast(({ mid }) => mid && mid <= upTo);
    if (!conversation || !last) return;
    const all = last === conversation.messages.findLast(({ mid }) => mid);
    if (last.mid <= conversation.readTo && !(all && conversation.unread)) return;
    const news = conversation.messages.filter((one) => one.mid <= last.mid && isUnread(this.client.uid, conversation, one));
    conversation.readTo = Math.max(conversation.readTo, last.mid);
    this.#count(conversation, all ? 0 : conversation.messages.filter((one) => isUnread(this.client.uid, conversation, one)).length);
    const quietly = (outgoing) => this.client.session.send(outgoing).catch(() => {});
    const audience = (one) => !conversation.group || one.config.groupMemberList;
    for (const one of news.filter(audience).slice(-READ_ACKS)) if (one.sender) quietly(out.readAck(one.sender, one.mid));
    if (news.length) quietly(out.readAll(peer, last.mid));
    this.#tell(conversation);
  }

  // --- writing ---

  /**
   * @param {Fields} fields
   * @returns {Promise<void>} settles when the server has it; the message itself is shown at once
   */
  send(peer, group, fields) {
    return this.#send(this.get(peer, group), fields, this.client.session.nextClientMid());
  }

  /**
   * A file. It waits for a network like a text, and what is sent after it arrives after it; `share` of the message says how much
   * of it is at the server.
   * @param {number} peer
   * @param {boolean} group
   * @param {import('./outbox.js').Upload & {ctype: number}} file
   * @returns {Promise<void>} settles when the server has it
   */
  sendFile(peer, group, file) {
    const { ctype, ...upload } = file;
    const fields = { ctype, attachment: { dName: upload.name, fLen: upload.blob.size } };
    return this.#send(this.get(peer, group), fields, this.client.session.nextClientMid(), upload);
  }

  /** What is begun and not sent, for the next visit. @param {Draft | undefined} draft */
  keepDraft(peer, group, draft) {
    const conversation = this.get(peer, group);
    conversation.draft = draft;
    this.#later(conversation);
  }

  /** Try a refused message again. */
  resend(message) {
    const conversation = this.get(message.peer, message.group);
    const upload = this.outbox.uploads.get(message.clientMid);
    this.discard(message);
    const { text, ctype, attachment, ext, config } = message;
    return this.#send(conversation, { text, ctype, attachment, ext, config }, this.client.session.nextClientMid(), upload);
  }

  /** Forget a message that was never accepted. */
  discard(message) {
    const conversation = this.get(message.peer, message.group);
    this.outbox.stop(conversation.peer, message.clientMid);
    conversation.messages = conversation.messages.filter((one) => one.clientMid !== message.clientMid || one.mid);
    if (conversation.last && !conversation.last.mid && conversation.last.clientMid === message.clientMid) conversation.last = conversation.messages.at(-1) ?? null;
    this.changes.sent.push(message.clientMid);
    this.#tell(conversation);
  }

  #send(conversation, fields, clientMid, upload = undefined) {
    const { peer, group } = conversation;
    const message = {
      mid: 0, clientMid, peer, group, sender: this.client.uid, text: fields.text ?? '', ctype: fields.ctype ?? 0,
      attachment: fields.attachment ?? {}, ext: fields.ext ?? {}, config: fields.config ?? {},
      time: clientMid, edited: 0, status: 0, state: /** @type {const} */ ('sending'), ...(upload && { share: 0 }),
    };
    conversation.messages = [...conversation.messages, message];
    conversation.last = message;
    conversation.order = clientMid;
    this.changes.pending.push(pending({ peer, group, clientMid, fields, upload }));
    this.#tell(conversation);
    return this.outbox.add({ peer, group, clientMid, fields, upload });
  }

  #unsent({ peer, group, clientMid }, change) {
    const conversation = this.get(peer, group);
    this.#keep(conversation, replace(conversation, (one) => one.clientMid === clientMid, change));
    this.#tell(conversation);
  }

  #sent({ peer, group, clientMid }, { mid, time }) {
    const conversation = this.get(peer, group);
    this.changes.sent.push(clientMid);
    const message = conversation.messages.find((one) => one.clientMid === clientMid);
    if (message) {
      const sent = { ...message, mid, time: time || message.time, state: undefined };
      conversation.messages = conversation.messages.filter((one) => one !== message);
      merge(conversation, [sent]);
      this.#keep(conversation, [sent]);
      if (!conversation.from) conversation.from = mid;
    }
    this.#tell(conversation);
  }

  async recall(message) {
    await this.client.session.send(out.recall(message.peer, message.mid));
    this.#operate({ type: OP.RECALL, mid: message.mid, peer: message.peer, sender: this.client.uid });
    this.flush();
  }

  async remove(message) {
    await this.client.session.send(out.remove(message.peer, message.mid));
    this.#operate({ type: OP.DELETE, mid: message.mid, peer: message.peer, sender: this.client.uid });
    this.flush();
  }

  async edit(message, text) {
    const { time } = await this.client.session.send(out.replace(message.peer, message.mid, text));
    this.#operate({ type: OP.REPLACE, mid: message.mid, peer: message.peer, sender: this.client.uid, text, edited: time });
    this.flush();
  }

  async hide(peer) {
    this.#forget(peer);
    await this.client.session.send(out.hideConversation(peer));
  }

  pin(peer, pinned) {
    const conversation = this.get(peer);
    conversation.pinned = pinned;
    this.#tell(conversation);
  }

  // --- arriving ---

  /** Entries of a pull, oldest first. */
  async apply(entries) {
    for (const entry of entries) {
      if (entry.kind === 'message') this.#arrived(entry.message);
      else if (entry.kind === 'operation') this.#operate(entry, await this.#stored(entry));
      else if (entry.kind === 'conversation') this.#forget(entry.peer);
    }
    return this.flush();
  }

  /** The server's list: conversations this device does not know yet. */
  noticed(list) {
    let order = Date.now() - 365 * 86_400_000;
    for (const { peer, group } of list) {
      const conversation = this.get(peer, group);
      conversation.group = group;
      if (!conversation.order) {
        conversation.order = order--;
        this.#tell(conversation);
      }
    }
  }

  #arrived(message) {
    const conversation = this.get(message.peer, message.group);
    conversation.group = message.group;
    if (message.ctype === out.CTYPE.COMMAND || conversation.messages.some(({ mid }) => mid === message.mid)) return;
    if (!conversation.from) conversation.from = message.mid;
    if (isUnread(this.client.uid, conversation, message)) {
      conversation.unread += 1;
      if (names(message, this.client.uid)) conversation.mentioned = true;
    }
    merge(conversation, [message]);
    this.#keep(conversation, [message]);
    this.#tell(conversation);
    if (message.sender !== this.client.uid) {
      if (!message.group && message.sender) this.client.session.send(out.deliverAck(message.sender, message.mid)).catch(() => {});
      this.client.emit('message', { message, conversation });
    }
  }

  /** So many are unread; whether this user is named in them is looked up again. */
  #count(conversation, unread) {
    conversation.unread = Math.max(0, unread);
    conversation.mentioned &&= unread > 0 && conversation.messages.some((one) => isUnread(this.client.uid, conversation, one) && names(one, this.client.uid));
  }

  /** The message of an operation when it is not in memory but in the store. */
  async #stored({ type, peer, mid }) {
    const conversation = this.all.get(peer);
    if (!conversation || !CHANGES.includes(type) || conversation.messages.some((one) => one.mid === mid)) return undefined;
    if (this.flushing) await this.flush();
    const [found] = await this.client.store.messages(peer, mid + 1, 1);
    return found?.mid === mid ? found : undefined;
  }

  /** @param {any} entry @param {import('./incoming.js').Message} [stored] the message, when it is in the store alone */
  #operate({ type, mid, peer, sender, text = '', edited = 0 }, stored = undefined) {
    const conversation = this.all.get(peer);
    if (!conversation) return;
    const own = sender === this.client.uid;
    const before = stored ?? conversation.messages.find((one) => one.mid === mid);
    const gone = before && (type === OP.RECALL || type === OP.DELETE) && isUnread(this.client.uid, conversation, before);
    if (type === OP.RECALL) this.#change(conversation, mid, { recalled: sender, text: '', attachment: {}, ext: {}, config: {}, ctype: 0 }, stored);
    else if (type === OP.REPLACE) this.#change(conversation, mid, { ...(text && { text }), edited }, stored);
    else if (type === OP.APPEND) this.#change(conversation, mid, (one) => ({ text: one.text + text, edited }), stored);
    else if (type === OP.DELETE) this.#drop(conversation, mid);
    else if (type === OP.READ_ALL || (type === OP.READ_ACK && own)) this.#readElsewhere(conversation, mid);
    else if (type === OP.READ_ACK) this.#marked(conversation, mid, 2);
    else if (type === OP.DELIVER_ACK && !own) this.#marked(conversation, mid, 1);
    if (gone) this.#count(conversation, conversation.unread - 1);
    this.#tell(conversation);
  }

  #change(conversation, mid, change, stored) {
    this.#keep(conversation, replace(conversation, (one) => one.mid === mid, change));
    if (!stored) return;
    const next = { ...stored, ...(typeof change === 'function' ? change(stored) : change) };
    this.#keep(conversation, [next]);
    if (conversation.quoted?.has(mid)) conversation.quoted.set(mid, next);
  }

  #readElsewhere(conversation, mid) {
    conversation.readTo = Math.max(conversation.readTo, mid || conversation.last?.mid || 0);
    const all = !mid || mid >= (conversation.last?.mid ?? 0);
    this.#count(conversation, all ? 0 : Math.min(conversation.unread, conversation.messages.filter((one) => isUnread(this.client.uid, conversation, one)).length));
  }

  /** The peer has read (or got) everything of this user up to `mid`. */
  #marked(conversation, mid, status) {
    this.#keep(conversation, replace(conversation, (one) => one.sender === this.client.uid && one.mid && one.mid <= mid && one.status < status, { status }));
  }

  #drop(conversation, mid) {
    conversation.messages = conversation.messages.filter((one) => one.mid !== mid);
    if (conversation.last?.mid === mid) conversation.last = conversation.messages.at(-1) ?? null;
    if (conversation.quoted?.has(mid)) conversation.quoted.set(mid, null);
    this.changes.removed.push([conversation.peer, mid]);
  }

  /** This user is not in a group any more: its messages are not theirs to read. */
  left(gid) {
    if (this.all.has(gid)) this.#forget(gid);
  }

  #forget(peer) {
    this.all.delete(peer);
    this.changes.forgotten.push(peer);
    this.client.emit('conversations', peer);
    this.flush();
  }

  // --- pieces ---

  #keep(conversation, messages) {
    this.changes.messages.push(...messages.map((one) => ({ ...one, peer: conversation.peer })));
  }

  #tell(conversation) {
    this.#later(conversation);
    this.client.emit('conversations', conversation.peer);
  }

  /** Write a conversation soon. */
  #later(conversation) {
    this.changes.conversations.add(conversation);
    if (!this.flushing) this.flushing = setTimeout(() => this.flush(), 50);
  }

  #noChanges() {
    return { messages: [], removed: [], conversations: new Set(), forgotten: [], pending: [], sent: [] };
  }

  /** Write what has changed. @returns {Promise<void>} */
  async flush() {
    clearTimeout(this.flushing);
    this.flushing = undefined;
    const { conversations, ...rest } = this.changes;
    this.changes = this.#noChanges();
    const rows = [...conversations].filter(({ peer }) => this.all.has(peer)).map(row);
    await this.client.store.write({ ...rest, conversations: rows }).catch((error) => this.client.emit('storeFailed', error));
  }
}
