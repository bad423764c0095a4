// A web page's stack without the page: socket.io-client 2.4.0 and protobufjs 6.11 against a real server.
// usage: node web_client.js URL SCENARIO; prints one JSON line per checked fact and exits non-zero on the first that is not so.
'use strict';
const http = require('http');
const https = require('https');
const path = require('path');
const io = require('socket.io-client');
const protobuf = require('protobufjs');

const [, , url, scenario] = process.argv;
const root = protobuf.loadSync(path.join(__dirname, '../../lanying/protocol/schema/xsync.proto'));
const type = (name) => root.lookupType(`im.floo.protobuf.${name}`);
const Frame = type('Frame');
const PAYLOADS = { 0: type('UnreadDL'), 1: type('SyncDL'), 2: type('Notice'), 3: type('Provision') };
const Body = type('MessageBody');

function check(fact, holds, saw) {
  console.log(JSON.stringify({ fact, holds: !!holds, saw }));
  if (!holds) process.exit(1);
}

function rest(method, target, body, token) {
  return new Promise((resolve, reject) => {
    const address = new URL(target.startsWith('http') ? target : url + target);
    const headers = { app_id: 'lanying', 'content-type': 'application/json' };
    if (token) headers['access-token'] = token;
    const request = (address.protocol === 'https:' ? https : http).request(address, { method, headers }, (response) => {
      let text = '';
      response.on('data', (part) => (text += part));
      response.on('end', () => resolve(JSON.parse(text)));
    });
    request.on('error', reject);
    request.end(body ? JSON.stringify(body) : undefined);
  });
}

const plain = (Type, message) => Type.toObject(message, { longs: Number, enums: Number, bytes: Buffer });

class Device {
  constructor(user, guid, automatic = true) {
    Object.assign(this, { user, guid, automatic, frames: [], texts: [], waiting: [], disconnects: 0 });
    this.socket = io(user.server, { transports: ['websocket'], forceNew: true });
    this.socket.on('connect', () => this.put(3, type('Provision').encode({
      xid: { uid: user.uid, deviceSN: 999999999 }, token: user.token, osType: 6,
      sdkVsn: '2.0.0', deviceGuid: this.guid, deviceInfo: 'Web' }).finish()));
    this.socket.on('disconnect', () => (this.disconnects += 1));
    this.socket.on('frame', (data) => this.read(data));
  }
  put(command, payload) {
    const frame = { vsn: 0, compressMethod: 0, command };
    if (payload) frame.payload = payload;
    this.socket.emit('frame', Buffer.from(Frame.encode(frame).finish()));
  }
  sync(upload) { this.put(1, type('SyncUL').encode(upload).finish()); }
  send(to, content, extra = {}) {
    Device.mid += 1;
    const body = { type: 2, content, ctype: 0, operation: { type: 0, mid: 0 }, ...extra };
    const meta = { id: Device.mid, from: { uid: this.user.uid, deviceSN: this.sn }, to: { uid: to, deviceSN: 0 },
      timestamp: Date.now(), ns: 1, payload: Body.encode(body).finish() };
    this.sync({ meta });
    return Device.mid;
  }
  read(data) {
    const frame = Frame.decode(new Uint8Array(data));
    const Type = PAYLOADS[frame.command];
    const payload = plain(Type, Type.decode(frame.payload));
    const entry = { command: frame.command, ...payload };
    this.frames.push(entry);
    if (frame.command === 3 && payload.status.code === 1) { this.sn = payload.xid.deviceSN; this.put(0); }
    if (frame.command === 2 && this.automatic) this.sync({ xid: payload.xid });
    if (frame.command === 0 && this.automatic) {
      for (const u of payload.unread || []) if (u.n) this.sync({ xid: u.xid });
    }
    if (frame.command === 1 && !payload.isFullSync) {
      for (const meta of payload.metas || []) {
        if (meta.ns === 1) {
          const body = plain(Body, Body.decode(meta.payload));
          if (body.type === 2 && body.content) this.texts.push(body.content);
        }
      }
      if (payload.nextKey && this.automatic) this.sync({ xid: payload.xid, key: payload.nextKey });
    }
    this.waiting = this.waiting.filter((w) => !w());
  }
  until(what, test) {
    const find = () => this.frames.find(test);
    return new Promise((resolve) => {
      const found = find();
      if (found) return resolve(found);
      const timer = setTimeout(() => check(what, false, this.frames.slice(-5)), 10000);
      this.waiting.push(() => {
        const now = find();
        if (now) { clearTimeout(timer); resolve(now); }
        return !!now;
      });
    });
  }
  ready() { return this.until('provision and unread list', (f) => f.command === 0); }
  acknowledged(mid) { return this.until(`answer to ${mid}`, (f) => f.command === 1 && f.clientMid === mid); }
  received(text) {
    return this.until(`text ${text}`, () => this.texts.includes(text));
  }
}
Device.mid = Date.now();

async function user(name) {
  await rest('POST', '/user/register/v2', { username: name, password: 'correct-horse1' });
  const grant = (await rest('POST', '/token/user', { name, password: 'correct-horse1' })).data;
  const dns = (await rest('GET', '/v2/app_dns?app_id=lanying&source=sdk')).data;
  const cluster = dns.dns_list.find((d) => d.group_level === 0).clusters[0];
  return { name, uid: grant.user_id, token: grant.token, server: `${cluster.webim[0].protocol}://${cluster.webim[0].host}` };
}

async function pair() {
  const tag = `${process.pid}_${Date.now() % 100000}`;
  const alice = await user(`alice_${tag}`);
  let bob;
  for (let i = 0; i < 40; i += 1) {
    bob = await user(`bob${i}_${tag}`);
    if ((bob.uid - alice.uid) % 2) break;
  }
  check('users live on different shards', (bob.uid - alice.uid) % 2 !== 0, [alice.uid, bob.uid]);
  return [alice, bob];
}

const SCENARIOS = {
  async chat() {
    const [alice, bob] = await pair();
    const phone = new Device(alice, 'phone'); const laptop = new Device(alice, 'laptop');
    let desk = new Device(bob, 'desk');
    await Promise.all([phone.ready(), laptop.ready(), desk.ready()]);
    check('devices have their own serial numbers', phone.sn !== laptop.sn && phone.sn > 0, [phone.sn, laptop.sn]);
    const mid = phone.send(bob.uid, 'hello');
    const answer = await phone.acknowledged(mid);
    check('acknowledged with status OK and a server id', answer.status.code === 1 && answer.serverMid > 0, answer);
    await desk.received('hello'); await laptop.received('hello');
    await desk.until('end of the pull loop', (f) => f.command === 1 && !f.nextKey && !(f.metas || []).length && f.xid);
    check('nothing comes back to the sending device', phone.texts.length === 0, phone.texts);
    desk.send(alice.uid, 'hi alice');
    await phone.received('hi alice'); await laptop.received('hi alice');
    desk.socket.close();
    for (let i = 0; i < 30; i += 1) phone.send(bob.uid, `offline ${i}`);
    await phone.acknowledged(Device.mid);
    desk = new Device(bob, 'desk');
    await desk.received('offline 29');
    check('offline messages arrive once and in order', desk.texts.join() === [...Array(30).keys()].map((i) => `offline ${i}`).join(), desk.texts);
    desk.sync({ xid: { uid: alice.uid }, key: 0, isFullSync: true, fullSyncNum: 20 });
    const page = await desk.until('history', (f) => f.isFullSync);
    const ids = page.metas.map((m) => m.id);
    check('history has 20, newest first, with a next key', ids.length === 20 && ids.every((x, i) => !i || x < ids[i - 1]) && page.nextKey === ids[19], page);
    phone.send(bob.uid, '', { ext: '{"input_status":"typing"}', qos: 1 });
    await desk.until('typing', (f) => (f.metas || []).some((m) => m.ns === 1 && plain(Body, Body.decode(m.payload)).qos === 1));
    const refused = phone.send(1, 'to nobody');
    const no = await phone.acknowledged(refused);
    check('a message to nobody is refused with a reason', no.status.code !== 1 && no.status.reason, no);
  },
  // Same device again: notice 4 and a bare close; the manager reconnects and the page, with a fresh guid, is a new device (5.7).
  async kick() {
    const [alice, bob] = await pair();
    const old = new Device(alice, 'tab');
    await old.ready();
    const before = old.sn;
    const fresh = new Device(alice, 'tab');
    const kick = await old.until('kick', (f) => (f.metas || []).some((m) => m.ns === 4));
    old.guid = 'tab-2';
    check('the notice is KICK_BY_SAME_DEVICE', kick.metas[0].payload[1] === 4, kick);
    await fresh.ready();
    check('the same device keeps its serial number', fresh.sn === before, [before, fresh.sn]);
    await old.until('the manager reconnects', (f) => f.command === 3 && f.xid.deviceSN !== before);
    check('after one bare close', old.disconnects === 1, old.disconnects);
    check('as a device of its own', old.sn !== before, [before, old.sn]);
    check('the new tab hears no kick', !fresh.frames.some((f) => (f.metas || []).some((m) => m.ns === 4)));
    const desk = new Device(bob, 'desk');
    await desk.ready();
    desk.send(alice.uid, 'after the kick');
    await fresh.received('after the kick');
    await old.received('after the kick');
  },
  // Kicked by REST: notice 5, then 41: the manager stays away.
  async dismissed() {
    const [alice] = await pair();
    const page = new Device(alice, 'page');
    await page.ready();
    const reason = new Promise((resolve) => page.socket.on('disconnect', resolve));
    const answer = await rest('POST', '/user/kick', { device_sn: page.sn }, alice.token);
    check('kick is accepted', answer.code === 200, answer);
    const kick = await page.until('kick', (f) => (f.metas || []).some((m) => m.ns === 4));
    check('the notice is KICKED_BY_OTHER_DEVICE', kick.metas[0].payload[1] === 5, kick);
    check('the server says good-bye first', (await reason) === 'io server disconnect');
    check('so the manager does not reconnect', !page.socket.io.reconnecting);
  },
  // What is not acknowledged comes again, what is acknowledged does not; one batch or notice at a time.
  async acknowledge() {
    const [alice, bob] = await pair();
    const phone = new Device(alice, 'phone');
    let desk = new Device(bob, 'desk', false);
    await Promise.all([phone.ready(), desk.ready()]);
    phone.send(bob.uid, 'one');
    const pushed = await desk.until('an eager push', (f) => f.command === 1 && (f.metas || []).length);
    check('a push names its conversation and what to acknowledge', pushed.xid.uid === alice.uid && pushed.nextKey > 0 && pushed.isEagerSync, pushed);
    phone.send(bob.uid, 'two');
    await phone.acknowledged(Device.mid);
    check('nothing more before the acknowledgement', desk.texts.join() === 'one', desk.texts);
    desk.socket.close();
    desk = new Device(bob, 'desk', false);
    await desk.ready();
    let list = desk.frames.find((f) => f.command === 0);
    check('the list counts what was not acknowledged', list.unread.some((u) => u.xid.uid === alice.uid && u.n === 2 && u.type === 1), list);
    desk.sync({ xid: { uid: alice.uid } });
    const batch = await desk.until('the batch', (f) => f.command === 1 && (f.metas || []).length === 2);
    desk.sync({ xid: batch.xid, key: batch.nextKey });
    await desk.until('the end of the loop', (f) => f.command === 1 && f.xid && !f.nextKey && !(f.metas || []).length && f.status.code === 1);
    phone.send(bob.uid, 'three');
    await desk.received('three');
    desk.socket.close();
    desk = new Device(bob, 'desk', false);
    await desk.ready();
    list = desk.frames.find((f) => f.command === 0);
    check('only the last one is owed', list.unread.some((u) => u.xid.uid === alice.uid && u.n === 1), list);
  },
  async operations() {
    const [alice, bob] = await pair();
    const phone = new Device(alice, 'phone'); const desk = new Device(bob, 'desk');
    await Promise.all([phone.ready(), desk.ready()]);
    const operation = (kind) => (f) => (f.metas || []).some((m) => m.ns === 1 && plain(Body, Body.decode(m.payload)).operation.type === kind);
    const mid = (await phone.acknowledged(phone.send(bob.uid, 'hello'))).serverMid;
    await desk.received('hello');
    desk.send(alice.uid, '', { type: 1, ctype: 6, operation: { type: 1, mid } });
    await phone.until('READ_ACK', operation(1));
    const replaced = await phone.acknowledged(phone.send(bob.uid, 'hello again', { type: 1, operation: { type: 9, mid, xid: { uid: bob.uid } } }));
    check('an edit is acknowledged with its time', replaced.status.code === 1 && replaced.editTimestamp > 1e12, replaced);
    await desk.until('REPLACE', operation(9));
    await phone.until('REPLACE at the author', operation(9));
    phone.send(bob.uid, '', { type: 1, ctype: 6, operation: { type: 5, mid, xid: { uid: bob.uid } } });
    await desk.until('RECALL', operation(5));
    phone.send(bob.uid, '', { type: 1, ctype: 6, operation: { type: 5, mid, xid: { uid: bob.uid } } });
    const no = await phone.until('a refused recall', (f) => f.command === 1 && f.status.code !== 1);
    check('is not named, so that the page shows the reason', !no.clientMid && no.status.reason, no);
    desk.sync({ xid: { uid: alice.uid }, key: 0, isFullSync: true, fullSyncNum: 20 });
    const page = await desk.until('history', (f) => f.isFullSync);
    check('a recalled message is not in history', !(page.metas || []).length, page);
    const refused = await phone.acknowledged(phone.send(bob.uid, 'x', { type: 3 }));
    check('a group that does not exist is refused', refused.status.code !== 1 && refused.status.reason, refused);
  },
  async badtoken() {
    const [alice] = await pair();
    const device = new Device({ ...alice, token: 'eyJ.not.valid' }, 'x');
    const answer = await device.until('refusal', (f) => f.command === 3);
    check('a bad token is INVALID_TOKEN', answer.status.code === 7, answer);
    check('and the socket stays open', device.socket.connected);
  },
};

SCENARIOS[scenario]().then(() => process.exit(0), (error) => { console.error(error); process.exit(1); });
