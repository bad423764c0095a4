// What a received entry stands for: { kind: 'message' | 'typing' | 'operation' | 'roster' | 'group' | 'user' | 'conversation' | 'other' }.

import { decode } from './wire.js';
import { ENUMS } from './schema.js';

const NS = ENUMS.MetaNameSpace;
const TYPE = ENUMS.MessageBodyType;

/**
 * @typedef {object} Message
 * @property {number} mid id, increasing within the conversation; an own message that is under way has `clientMid` alone
 * @property {number} peer the conversation: the other user, or the group
 * @property {boolean} group
 * @property {number} sender
 * @property {string} text
 * @property {number} ctype see ENUMS.MessageBodyContentType
 * @property {Record<string, any>} attachment
 * @property {Record<string, any>} ext
 * @property {Record<string, any>} config
 * @property {number} time ms
 * @property {number} edited ms, 0 for never
 * @property {number} status 0 unread, 1 delivered, 2 read
 * @property {number} [clientMid]
 * @property {'sending' | 'failed'} [state]
 * @property {string} [error]
 * @property {number} [code] of the error
 * @property {number} [share] of its file at the server, 0 to 1, while it is uploaded
 * @property {number} [recalled] who took it back
 */

/** The value of JSON text, or {} for text that is no JSON object. */
export function parse(text) {
  try {
    const value = JSON.parse(text);
    return value && typeof value === 'object' ? value : {};
  } catch {
    return {};
  }
}

/** @returns {Record<string, any> & {kind: string}} */
export function readMeta(meta, own) {
  const sender = meta.from?.uid ?? 0;
  const to = meta.to?.uid ?? 0;
  switch (meta.ns) {
    case NS.MESSAGE:
      return readBody(meta, decode('MessageBody', meta.payload), sender, to, own);
    case NS.ROSTER_NOTICE: {
      const { type, from, to: list, content } = decode('RosterNotice', meta.payload);
      return { kind: 'roster', type, from: from?.uid ?? 0, to: list.map((xid) => xid.uid), content, time: meta.timestamp };
    }
    case NS.GROUP_NOTICE: {
      const { type, gid, from, to: list, content } = decode('GroupNotice', meta.payload);
      return { kind: 'group', type, gid: gid?.uid ?? 0, from: from?.uid ?? 0, to: list.map((xid) => xid.uid), content, time: meta.timestamp };
    }
    case NS.USER_NOTICE:
      return { kind: 'user', type: decode('UserNotice', meta.payload).type };
    case NS.CONVERSATION:
      return { kind: 'conversation', peer: decode('Conversation', meta.payload).operation?.xid?.uid ?? 0 };
    default:
      return { kind: 'other', ns: meta.ns };
  }
}

function readBody(meta, body, sender, to, own) {
  const group = body.type === TYPE.GROUPCHAT;
  if (body.type === TYPE.OPER) {
    const { type, mid, xid } = body.operation ?? { type: 0, mid: 0 };
    const peer = sender === own ? xid?.uid || to : to === own || to === 0 ? sender : to;
    return { kind: 'operation', type, mid, peer, sender, text: body.content, edited: body.edit_timestamp, ext: body.ext };
  }
  const peer = group || sender === own ? to : sender;
  const ext = parse(body.ext);
  if (body.qos === ENUMS.MessageBodyQoS.AT_MOST_ONCE && !body.content && ext.input_status) {
    return { kind: 'typing', peer, sender, active: ext.input_status === 'typing' };
  }
  return {
    kind: 'message',
    message: {
      mid: meta.id,
      peer,
      group,
      sender,
      text: body.content,
      ctype: body.ctype,
      attachment: parse(body.attachment),
      ext,
      config: parse(body.config),
      time: meta.timestamp,
      edited: body.edit_timestamp,
      status: body.status,
    },
  };
}
