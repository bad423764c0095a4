// One conversation on this device, as a value that changes: its messages in order, what is unread of them, what is kept.

/**
 * @typedef {object} Conversation
 * @property {number} peer
 * @property {boolean} group
 * @property {import('./incoming.js').Message | null} last
 * @property {number} unread
 * @property {boolean} mentioned someone has named this user in what is unread
 * @property {number} readTo this user has read everything up to this mid
 * @property {number} from see above, 0 for nothing
 * @property {boolean} end `from` is the beginning of the conversation
 * @property {number} order the newer the larger
 * @property {boolean} pinned
 * @property {boolean} [checked] the newest page of the server was asked for
 * @property {boolean} [asked] its last message was asked for since the connection was made
 * @property {import('./incoming.js').Message[]} messages in memory, oldest first; what is not sent yet at the end
 * @property {Draft} [draft] what was begun and not sent
 * @property {Map<number, import('./incoming.js').Message | null | undefined>} [quoted] messages that others name and that are not in memory
 *
 * @typedef {{text: string, names: [string, number][]}} Draft names are those picked behind an at sign, with their users
 *
 * @typedef {{text?: string, ctype?: number, attachment?: object, ext?: object, config?: object}} Fields of a message
 */

/** @returns {Conversation} one of which nothing is known */
export const empty = (peer, group) => ({ peer, group, last: null, unread: 0, mentioned: false, readTo: 0, from: 0, end: false, order: 0, pinned: false, messages: [] });

/** @param {number} own @param {Conversation} conversation @param {import('./incoming.js').Message} message */
export const isUnread = (own, { readTo }, { sender, mid, status, recalled }) => sender !== own && mid > readTo && status !== 2 && !recalled;

/** Whether a message is for this user in particular. */
export const names = ({ config: { mentionAll, mentionList } }, uid) => !!mentionAll || (Array.isArray(mentionList) && mentionList.includes(uid));

/** Messages are values: a changed one is a new object, so that a view sees what has changed. @returns {import('./incoming.js').Message[]} those of the server that did */
export function replace(conversation, which, change) {
  const changed = [];
  conversation.messages = conversation.messages.map((one) => {
    if (!which(one)) return one;
    const next = { ...one, ...(typeof change === 'function' ? change(one) : change) };
    if (next.mid) changed.push(next);
    if (conversation.last === one) conversation.last = next;
    return next;
  });
  if (conversation.last && which(conversation.last) && !conversation.messages.includes(conversation.last)) {
    conversation.last = { ...conversation.last, ...(typeof change === 'function' ? change(conversation.last) : change) };
  }
  return changed;
}

/** Bring messages of the server in, known ones anew. What is not sent yet stays at the end. */
export function merge(conversation, messages) {
  const byId = new Map(conversation.messages.filter(({ mid }) => mid).map((one) => [one.mid, one]));
  for (const one of messages) {
    const known = byId.get(one.mid);
    byId.set(one.mid, known ? { ...known, ...one, status: Math.max(known.status, one.status) } : one);
  }
  const unsent = conversation.messages.filter(({ mid }) => !mid);
  conversation.messages = [...[...byId.values()].sort((a, b) => a.mid - b.mid), ...unsent];
  const newest = conversation.messages.at(-1);
  if (newest && (newest.mid || newest.state === 'sending' || !conversation.last)) {
    if (!newest.mid || newest.mid >= (conversation.last?.mid ?? 0)) conversation.last = newest;
    conversation.order = Math.max(conversation.order, newest.time);
  }
}

/** What the store keeps of a conversation beside its messages. @param {Conversation} conversation */
export const row = ({ messages, checked, asked, quoted, ...row }) => row;

/** What the store keeps of something under way. @param {any} item */
export const pending = ({ peer, group, clientMid, fields, upload }) => ({
  peer, group, clientMid, fields, ...(upload && { upload: { blob: upload.blob, name: upload.name, fileType: upload.fileType } }),
});
