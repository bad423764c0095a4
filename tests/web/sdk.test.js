// The SDK on Node's test runner. `LANYING_URL` of a real server comes from tests/web/test_sdk.py; without one only the codec is tested.
import assert from 'node:assert/strict';
import test from 'node:test';
import { WebSocket } from 'ws';
import { Directory } from '../../lanying/web/sdk/directory.js';
import { CallError, Client, decode, encode, line, lines, outgoing } from '../../lanying/web/sdk/index.js';

const url = process.env.LANYING_URL;
const live = { skip: !url && 'no server: run pytest tests/web' };
let number = 0;

async function until(what, condition, saw = () => '') {
  const end = Date.now() + 30_000;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) assert.fail(`${what}: not within 30 s ${JSON.stringify(saw())}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function device(storage = new Map()) {
  const client = new Client(url, { WebSocket, storage, info: 'Node' });
  client.log = [];
  client.on('message', ({ message }) => client.log.push(message));
  return client;
}

async function user(name, storage) {
  const client = device(storage);
  client.username = `${name}_${process.pid}_${(number += 1)}`;
  await client.register(client.username, 'secret 123');
  await client.login(client.username, 'secret 123');
  await until(`${name} is online`, () => client.state === 'online' && client.directory.user(client.uid));
  return client;
}

async function friends(a, b) {
  await a.rest.post('/roster/apply', { user_id: b.uid, alias: '' });
  await b.rest.post('/roster/accept', { user_id: a.uid }).catch((error) => assert.equal(error.code, 10005));
  await until('they are friends', () => a.directory.friends.has(b.uid) && b.directory.friends.has(a.uid));
}

const texts = (client, peer) => client.conversations.get(peer).messages.map(({ text }) => text);

const hex = (bytes) => Buffer.from(bytes).toString('hex');

test('frames are read and written byte for byte as published', () => {
  const uid = 2199040544848;
  const payload = encode('SyncUL', { xid: { uid, deviceSN: 0 }, key: 0, is_full_sync: true, full_sync_num: 20 });
  const frame = encode('Frame', { vsn: 0, compress_method: 0, command: 1, payload });
  assert.equal(hex(frame), '08001000180122110a0908d0a09f8880401000100020012828');
  const provision = decode('Frame', Buffer.from('1803220f0a02080112090880fbbb8c80431007', 'hex'));
  const { status, xid } = decode('Provision', provision.payload);
  assert.deepEqual([status.code, xid.uid, xid.deviceSN], [1, 2302128618880, 7]);
});

for (const [code, pause] of [[429, 60_000], [0, 5_000]]) {
  test(`who is who is not asked again at once when the answer was ${code}`, async (t) => {
    let asked = 0;
    let now = 1_700_000_000_000;
    t.mock.method(Date, 'now', () => now);
    const post = async () => { asked += 1; throw new CallError(code, 'not now'); };
    const directory = new Directory(/** @type {any} */ ({ uid: 1, rest: { post }, emit: () => directory.user(7) }));
    const look = async () => {
      directory.user(7);
      await new Promise((resolve) => setTimeout(resolve, 20)); // behind the directory's own timer of 10 ms
    };
    for (let count = 0; count < 5; count += 1) await look();
    assert.equal(asked, 1);
    now += pause;
    await look();
    assert.equal(asked, 2);
  });
}

test('numbers up to 2^53, negative ones, unknown fields and text survive', () => {
  const meta = { id: 2 ** 53 - 1, from: { uid: 1, deviceSN: 7 }, timestamp: 1_700_000_000_000, ns: 1, payload: Uint8Array.of(1, 2) };
  const back = decode('Meta', encode('Meta', meta));
  assert.equal(back.id, meta.id);
  assert.equal(back.timestamp, meta.timestamp);
  assert.deepEqual([...back.payload], [1, 2]);
  assert.equal(back.to, undefined);
  assert.equal(decode('SyncUL', encode('SyncUL', { full_sync_num: -3 })).full_sync_num, -3);
  assert.equal(decode('MessageBody', encode('MessageBody', { content: '你好 👋' })).content, '你好 👋');
  assert.equal(decode('XID', Uint8Array.of(0x58, 5, 8, 9)).uid, 9);
  assert.throws(() => decode('XID', Uint8Array.of(8)));
  assert.throws(() => decode('Meta', Uint8Array.of(18, 100, 1)));
});

test('the token goes into addresses of the files of this server and no other', () => {
  const client = new Client('http://chat.example:8480', { storage: new Map() });
  client.rest.token = 'ACCOUNT';
  client.rest.fileToken = 'TOKEN';
  const file = 'http://chat.example:8480/file/download/chat?file_sign=abc';
  assert.equal(client.fileUrl(file, { image_type: 2 }), `${file}&access-token=TOKEN&app_id=lanying&image_type=2`);
  assert.equal(client.fileUrl('AbC-_12='), 'http://chat.example:8480/file/download/avatar?object_name=AbC-_12%3D&access-token=TOKEN&app_id=lanying');
  for (const moved of ['https://old.example/file/download/chat', 'http://chat.example/im/file/download/chat', 'http://192.168.1.5:8480/file/download/chat', 'https://chat.example:8480/file/download/chat']) {
    assert.equal(client.fileUrl(`${moved}?file_sign=abc`), client.fileUrl(file));
  }
  const below = new Client('https://school.example/im/', { appId: 'lanying', WebSocket, storage: new Map() });
  below.rest.fileToken = 'TOKEN';
  assert.equal(below.fileUrl(file), 'https://school.example/im/file/download/chat?file_sign=abc&access-token=TOKEN&app_id=lanying');
  assert.equal(below.fileUrl('https://school.example/file/download/chat'), '');
  for (const other of ['https://chat.example:8480/file/download/chat', 'http://chat.example/file/download/chat', 'http://evil.example/file/download/chat', 'http://chat.example.evil.example:8480/x']) {
    assert.equal(client.fileUrl(other), other);
  }
  const none = ['', 'http://[', 'http://', 'javascript:alert(1)', 'data:text/html,x', 'file:///etc/passwd', 'http://u:p@chat.example:8480/file/download/chat', 'http://u@other.example/x',
    'http://chat.example:8480/app/allow?allow=1', 'http://chat.example:8480/file/download/../../app/allow', 'http://chat.example:8480/file/download/chat%2f..%2f..%2fapp/allow',
    'http://chat.example:8480/file/download/chat/../../../app/allow', 'http://chat.example:8480\\@evil.example/x', null, undefined, 5, {}, [], { toString: 1 }, true];
  for (const value of none) assert.equal(client.fileUrl(value), '', String(typeof value === 'string' ? value : typeof value));
});

test('names and texts of others: one line or several, without what is not seen or turns directions, of any value', () => {
  assert.equal(line('invoice_\u202Efdp.exe'), 'invoice_fdp.exe');
  assert.equal(line(' two\r\nlines\u2028and\0more\t '), 'two lines andmore');
  for (const blank of ['\u200B\u200B', '\u3164', '\u202E', ' \n', '\u0301', null, {}, [], { toString: 1 }, true, NaN]) assert.ok(!line(blank) || typeof blank === 'number');
  for (const kept of ['👨‍👩‍👧', 'می‌خواهم', 'שלום', '你好', 'zoë']) assert.equal(line(kept), kept);
  assert.equal(lines('a\r\nb\u2066c\u2069\td'), 'a\nbc\td');
  assert.equal(lines(5), '5');
});

test('two users become friends, chat, mark as read, edit and recall', live, async () => {
  const [alice, bob] = await Promise.all([user('alice'), user('bob')]);
  await friends(alice, bob);
  await alice.conversations.send(bob.uid, false, { text: 'hello' });
  await until('bob has it', () => bob.log.length === 1, () => bob.log);
  assert.equal(bob.log[0].text, 'hello');
  assert.equal(bob.conversations.unread, 1);
  bob.conversations.markRead(alice.uid);
  assert.equal(bob.conversations.unread, 0);
  const mine = () => alice.conversations.get(bob.uid).messages[0];
  await until('alice sees that it is read', () => mine().status === 2, mine);
  await alice.conversations.edit(mine(), 'hello Bob');
  await until('bob sees the change', () => texts(bob, alice.uid)[0] === 'hello Bob', () => texts(bob, alice.uid));
  await alice.conversations.recall(mine());
  await until('bob sees that it is gone', () => bob.conversations.get(alice.uid).messages[0].recalled === alice.uid);
  bob.typing(alice.uid, true);
  await new Promise((resolve) => alice.on('typing', resolve));
  alice.close();
  bob.close();
});

test('what is written offline goes out once the network is back, once', live, async () => {
  const [alice, bob] = await Promise.all([user('alice'), user('bob')]);
  await friends(alice, bob);
  alice.session.socket.terminate();
  await until('alice is offline', () => alice.state !== 'online');
  const sent = ['one', 'two', 'three'].map((text) => alice.conversations.send(bob.uid, false, { text }));
  assert.equal(alice.conversations.get(bob.uid).last.state, 'sending');
  await Promise.all(sent);
  await until('bob has all', () => bob.log.length === 3, () => bob.log);
  assert.deepEqual(texts(bob, alice.uid), ['one', 'two', 'three']);
  assert.deepEqual(texts(alice, bob.uid), ['one', 'two', 'three']);
  assert.equal(alice.conversations.get(bob.uid).last.state, undefined);
  alice.close();
  bob.close();
});

test('a device that was away gets what it missed; a new device pages through the past', live, async () => {
  const storage = new Map();
  const [alice, bob] = await Promise.all([user('alice', storage), user('bob')]);
  await friends(alice, bob);
  alice.close();
  for (let count = 0; count < 45; count += 1) await bob.conversations.send(alice.uid, false, { text: `n${count}` });
  const again = device(storage);
  assert.equal(await again.resume(), true);
  await until('alice has caught up', () => again.log.length === 45, () => again.log.length);
  assert.equal(again.conversations.unread, 45);
  const fresh = device();
  await fresh.login(alice.username, 'secret 123');
  await until('the list is there', () => fresh.conversations.list().length);
  await fresh.conversations.open(bob.uid, false);
  assert.equal(texts(fresh, bob.uid).at(-1), 'n44');
  while (await fresh.conversations.older(bob.uid));
  assert.deepEqual(texts(fresh, bob.uid).filter((text) => /^n\d+$/.test(text)), Array.from({ length: 45 }, (_, count) => `n${count}`));
  for (const client of [again, fresh, bob]) client.close();
});

test('a group: created, written to, left', live, async () => {
  const [alice, bob] = await Promise.all([user('alice'), user('bob')]);
  await friends(alice, bob);
  await bob.rest.post('/user/settings', { group_confirm: false });
  const { group_id: gid } = await alice.rest.post('/group/create', { name: 'Class 3b', type: 0, user_list: [bob.uid] });
  await until('bob is in', () => bob.directory.joined.has(gid) && bob.directory.group(gid)?.name === 'Class 3b');
  await alice.conversations.send(gid, true, { text: 'welcome', config: { mentionList: [bob.uid] } });
  await until('bob has it', () => bob.conversations.get(gid).unread === 1);
  assert.equal(bob.conversations.get(gid).mentioned, true);
  await bob.rest.post('/group/leave', { group_id: gid });
  await until('bob is out', () => !bob.directory.joined.has(gid));
  alice.close();
  bob.close();
});

test('a file is downloaded with a token of its own, also after a new password', live, async () => {
  const alice = await user('alice');
  const bytes = Uint8Array.from({ length: 100 }, (_, i) => i);
  const address = await alice.upload(alice.uid, false, new Blob([bytes]), { name: 'a.bin', fileType: 100 });
  for (const change of [() => {}, () => alice.changePassword('secret 123', 'secret 456')]) {
    await change();
    const url = alice.fileUrl(address);
    assert.ok(!url.includes(alice.rest.token));
    assert.deepEqual(new Uint8Array(await (await fetch(url)).arrayBuffer()), bytes);
  }
  alice.close();
});

test('a refused message says why and can be tried again; a wrong password has its code', live, async () => {
  const [alice, bob] = await Promise.all([user('alice'), user('bob')]);
  await bob.rest.post('/roster/block', { user_id: alice.uid });
  await alice.conversations.send(bob.uid, false, { text: 'hello?' });
  const refused = alice.conversations.get(bob.uid).messages[0];
  assert.equal(refused.state, 'failed');
  assert.ok(refused.error);
  await bob.rest.post('/roster/unblock', { user_id: alice.uid });
  alice.conversations.discard(refused);
  assert.equal(alice.conversations.get(bob.uid).messages.length, 0);
  await assert.rejects(device().login(alice.username, 'not it 999'), CallError);
  assert.equal(outgoing.recall(5, 6).recall, true);
  alice.close();
  bob.close();
});
