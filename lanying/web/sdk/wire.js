// Protocol buffers by table: what schema.js lists, as plain objects. Absent fields read as their defaults.
//
// 64-bit integers are JavaScript numbers: every id of this protocol is below 2^53. Own code because the libraries that work
// from a table compile functions from text, which a strict Content-Security-Policy forbids.

import { MESSAGES } from './schema.js';

const text = new TextEncoder();
const untext = new TextDecoder();
const DEFAULTS = { uint: 0, sint: 0, bool: false, string: '', bytes: new Uint8Array(0) };

/** Bytes that do not follow the schema. */
export class WireError extends Error {}

/**
 * @param {string} name of a message of the schema
 * @param {Record<string, any>} value fields by name; undefined ones are left out
 * @returns {Uint8Array}
 */
export function encode(name, value) {
  /** @type {number[]} */
  const out = [];
  write(out, MESSAGES[name], value);
  return Uint8Array.from(out);
}

/**
 * @param {string} name of a message of the schema
 * @param {Uint8Array} bytes
 * @returns {Record<string, any>} every field of the schema; a sub-message that is absent is undefined
 * @throws {WireError}
 */
export function decode(name, bytes) {
  return read(bytes, 0, bytes.length, name);
}

function write(out, fields, value) {
  for (const [name, [number, kind, repeated]] of Object.entries(fields)) {
    if (value[name] === undefined) continue;
    for (const item of repeated ? value[name] : [value[name]]) writeField(out, number, kind, item);
  }
}

function writeField(out, number, kind, item) {
  if (kind === 'uint' || kind === 'sint' || kind === 'bool') {
    varint(out, number * 8);
    varint(out, kind === 'sint' ? (item < 0 ? -2 * item - 1 : 2 * item) : Number(item));
    return;
  }
  let bytes = item;
  if (kind === 'string') bytes = text.encode(item);
  else if (kind !== 'bytes') write((bytes = []), MESSAGES[kind], item);
  varint(out, number * 8 + 2);
  varint(out, bytes.length);
  for (const byte of bytes) out.push(byte);
}

function varint(out, value) {
  while (value >= 128) {
    out.push((value % 128) + 128);
    value = Math.floor(value / 128);
  }
  out.push(value);
}

const TAGS = {};
/** @type {[string, Record<string, any>][]} */
const ALL = Object.entries(MESSAGES);
for (const [name, fields] of ALL) {
  TAGS[name] = {};
  for (const [field, [number, kind, repeated]] of Object.entries(fields)) TAGS[name][number] = [field, kind, repeated];
}

function blank(name) {
  const value = {};
  for (const [field, [, kind, repeated]] of Object.entries(MESSAGES[name])) {
    value[field] = repeated ? [] : DEFAULTS[kind];
  }
  return value;
}

function read(bytes, at, end, name) {
  const value = blank(name);
  const tags = TAGS[name];
  const cursor = { at };
  while (cursor.at < end) {
    const tag = readVarint(bytes, cursor, end);
    const [field, kind, repeated] = tags[Math.floor(tag / 8)] ?? [];
    const item = readItem(bytes, cursor, end, tag % 8, kind);
    if (field === undefined || item === undefined) continue;
    if (repeated) value[field].push(item);
    else value[field] = item;
  }
  return value;
}

function readItem(bytes, cursor, end, wireType, kind) {
  if (wireType === 0) {
    const number = readVarint(bytes, cursor, end);
    if (kind === 'sint') return number % 2 ? -(number + 1) / 2 : number / 2;
    if (kind === 'bool') return number !== 0;
    return kind === 'uint' ? number : undefined;
  }
  const length = wireType === 2 ? readVarint(bytes, cursor, end) : wireType === 1 ? 8 : wireType === 5 ? 4 : NaN;
  const start = cursor.at;
  if (!(start + length <= end)) throw new WireError('a field ends beyond its message');
  cursor.at = start + length;
  if (wireType !== 2 || kind === undefined || kind === 'uint' || kind === 'sint' || kind === 'bool') return undefined;
  if (kind === 'string') return untext.decode(bytes.subarray(start, cursor.at));
  if (kind === 'bytes') return bytes.slice(start, cursor.at);
  return read(bytes, start, cursor.at, kind);
}

function readVarint(bytes, cursor, end) {
  let value = 0;
  let factor = 1;
  for (let count = 0; count < 10; count += 1) {
    if (cursor.at >= end) break;
    const byte = bytes[cursor.at++];
    value += (byte & 127) * factor;
    if (byte < 128) return value;
    factor *= 128;
  }
  throw new WireError('a number that does not end');
}
