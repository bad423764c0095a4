// Who is who: users, friends, groups, kept for the session and refreshed by notices. Asks for many ids in one call.

import { line } from './plain.js';
import { ENUMS } from './schema.js';

const GROUP = ENUMS.GroupNoticeType;
const ROSTER = ENUMS.RosterNoticeType;
const BATCH = 100;
/** How long nothing is asked about an id again: the server refused, or was not reached. A view asks at every change for what it shows. */
const REFUSED_MS = 60_000;
const UNREACHED_MS = 5_000;

/** What a user is called by this one, by themself, or at the login: the first of which something can be seen. */
export const shownName = (row) => line(row?.alias) || line(row?.nick_name) || line(row?.username);

export class Directory {
  /** @param {import('./client.js').Client} client */
  constructor(client) {
    this.client = client;
    /** @type {Map<number, any>} rows of POST /roster/list */
    this.users = new Map();
    /** @type {Map<number, any>} rows of POST /group/info/batch */
    this.groups = new Map();
    /** @type {Set<number>} */
    this.friends = new Set();
    /** @type {Set<number>} */
    this.joined = new Set();
    /** Whether friends and groups are known. */
    this.loaded = false;
    this.wanted = { users: new Set(), groups: new Set() };
    /** @type {{users: Map<number, number>, groups: Map<number, number>}} when an id whose question failed may be asked about again */
    this.later = { users: new Map(), groups: new Map() };
    /** Counts changes, for views that keep what they have drawn. */
    this.revision = 0;
  }

  /** Everything of a login. */
  async load() {
    const { rest, conversations } = this.client;
    const listed = conversations.list().filter(({ group }) => group).map(({ peer }) => peer);
    const [friends, groups] = await Promise.all([rest.get('/roster/list'), rest.get('/group/user_joined')]);
    this.friends = new Set(friends.map((one) => one.user_id ?? one));
    this.joined = new Set(groups.map((one) => one.group_id ?? one));
    this.loaded = true;
    for (const gid of listed) if (!this.joined.has(gid)) this.#left(gid);
    for (const uid of [this.client.uid, ...this.friends]) this.user(uid);
    for (const gid of this.joined) this.group(gid);
    this.#changed();
  }

  /** A user's row, or undefined while it is asked for. */
  user(uid) {
    return this.#find('users', uid);
  }

  /** A group's row, or undefined while it is asked for. */
  group(gid) {
    return this.#find('groups', gid);
  }

  /** The name to show, one line; '' while it is not known. */
  name(uid) {
    return shownName(this.user(uid));
  }

  /** The name of a group, one line; '' while it is not known. */
  groupName(gid) {
    return line(this.group(gid)?.name);
  }

  /** Ask again. */
  refresh(kind, id) {
    this.wanted[kind].add(id);
    this.#schedule();
  }

  #find(kind, id) {
    if (!id) return undefined;
    const found = this[kind].get(id);
    if (found === undefined && Date.now() >= (this.later[kind].get(id) ?? 0)) {
      this.later[kind].delete(id);
      this[kind].set(id, null);
      this.refresh(kind, id);
    }
    return found ?? undefined;
  }

  #schedule() {
    this.timer ??= setTimeout(() => this.#ask(), 10);
  }

  async #ask() {
    this.timer = undefined;
    const { users, groups } = this.wanted;
    this.wanted = { users: new Set(), groups: new Set() };
    await Promise.all([
      this.#fetch('users', [...users], '/roster/list', 'list', 'user_id'),
      this.#fetch('groups', [...groups], '/group/info/batch', 'group_list', 'group_id'),
    ]);
    this.#changed();
  }

  async #fetch(kind, ids, path, field, key) {
    for (let at = 0; at < ids.length; at += BATCH) {
      const some = ids.slice(at, at + BATCH);
      try {
        for (const row of await this.client.rest.post(path, { [field]: some })) this[kind].set(row[key], row);
      } catch (error) {
        const until = Date.now() + (error.code ? REFUSED_MS : UNREACHED_MS);
        for (const id of some.filter((it) => !this[kind].get(it))) {
          this[kind].delete(id); // asked again when it is needed again, and not at once
          this.later[kind].set(id, until);
        }
      }
    }
  }

  /** @param {any} entry kind roster or group */
  apply(entry) {
    const own = this.client.uid;
    if (entry.kind === 'roster') this.#roster(entry, own);
    else this.#groupNotice(entry, own);
    this.#changed();
    this.client.emit('notice', entry);
  }

  #roster({ type, from, to }, own) {
    const other = from === own ? to[0] : from;
    if (type === ROSTER.ACCEPTED || type === ROSTER.ADDED) this.friends.add(other);
    if (type === ROSTER.REMOVED) this.friends.delete(other);
    if (other) this.refresh('users', other);
  }

  #groupNotice({ type, gid, from, to }, own) {
    const entering = [GROUP.CREATED, GROUP.JOINED, GROUP.INVITE_ACCEPTED, GROUP.APPLY_ACCEPTED];
    if (entering.includes(type) && (from === own || to.includes(own) || type === GROUP.CREATED)) this.joined.add(gid);
    const out = type === GROUP.DESTROYED || (type === GROUP.LEAVED && from === own);
    if (out || ([GROUP.KICKED, GROUP.BLOCKED].includes(type) && to.includes(own))) this.#left(gid);
    else this.refresh('groups', gid);
  }

  #left(gid) {
    const was = this.joined.delete(gid) || this.client.conversations.all.has(gid);
    this.client.conversations.left(gid);
    if (was) this.client.emit('left', { gid, name: this.groupName(gid) });
  }

  /** This user has founded a group or come into it: its notice is on its way. */
  entered(gid) {
    this.joined.add(gid);
    this.group(gid);
  }

  #changed() {
    this.revision += 1;
    this.client.emit('directory', undefined);
  }
}
