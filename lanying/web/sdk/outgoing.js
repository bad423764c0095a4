// Everything a client can send, as values. `mid` is the server's id of a message, `peer` the user or group of its conversation.
// A group message's `conversation` is its group; `group` says that the peer is one.

import { encode } from './wire.js';
import { ENUMS } from './schema.js';

const { TEXT, COMMAND } = ENUMS.MessageBodyContentType;
const { CHAT, GROUPCHAT, OPER } = ENUMS.MessageBodyType;
const OP = ENUMS.MessageOperationOpType;
export const CTYPE = ENUMS.MessageBodyContentType;
/** `to` of what concerns this user alone: the session knows who that is. */
export const SELF = -1;

/**
 * @typedef {object} Outgoing
 * @property {number | undefined} to user or group, SELF, or undefined for nobody
 * @property {number} ns Meta.NameSpace
 * @property {Uint8Array} payload
 * @property {boolean} [timed] carries the time of sending
 * @property {boolean} [recall] a refusal of it does not name it
 * @property {boolean} [fleeting] is worth nothing after a reconnect
 */

const MESSAGE = ENUMS.MetaNameSpace.MESSAGE;
const body = (to, fields, more) => ({ to, ns: MESSAGE, payload: encode('MessageBody', fields), ...more });

/** A message. @returns {Outgoing} */
export const message = (to, { text = '', ctype = TEXT, attachment = '', ext = '', config = '', group = false }) =>
  body(to, { type: group ? GROUPCHAT : CHAT, content: text, ctype, attachment, ext, config }, { timed: true });

/** This user types, or has stopped. @returns {Outgoing} */
export const typing = (peer, active) =>
  body(
    peer,
    { type: CHAT, ext: `{"input_status":"${active ? 'typing' : 'nothing'}"}`, qos: ENUMS.MessageBodyQoS.AT_MOST_ONCE },
    { timed: true, fleeting: true },
  );

const operation = (to, type, mid, conversation, more = {}) =>
  body(to, {
    type: OPER,
    ctype: COMMAND,
    ...more,
    operation: { type, mid, ...(conversation && { xid: { uid: conversation } }) },
  }, { recall: type === OP.RECALL });

/** @returns {Outgoing} */
export const readAck = (author, mid) => operation(author, OP.READ_ACK, mid);
/** @returns {Outgoing} */
export const deliverAck = (author, mid) => operation(author, OP.DELIVER_ACK, mid);
/** Everything up to `mid` is read. @returns {Outgoing} */
export const readAll = (peer, mid) => operation(SELF, OP.READ_ALL, mid, peer);
/** Take a message out of this user's history. @returns {Outgoing} */
export const remove = (peer, mid) => operation(SELF, OP.DELETE, mid, peer);
/** Take back an own message, for everybody. @returns {Outgoing} */
export const recall = (peer, mid) => operation(peer, OP.RECALL, mid, peer);
/** Change an own message. @returns {Outgoing} */
export const replace = (peer, mid, text) => operation(peer, OP.REPLACE, mid, peer, { ctype: TEXT, content: text });

/** Take a conversation off the list on all devices; history stays. @returns {Outgoing} */
export const hideConversation = (peer) => ({
  to: undefined,
  ns: ENUMS.MetaNameSpace.CONVERSATION,
  payload: encode('Conversation', {
    type: ENUMS.ConversationType.OPER,
    operation: { type: ENUMS.ConversationOperationOpType.DELETE_EVERYWHERE, xid: { uid: peer } },
  }),
});
