// What people saw go wrong in other clients and in this one: each is a test of the page in a browser.

import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { befriend, closeAll, device, founded, launch, offline, online, reloaded, say, sees, signedIn, until, user } from './world.js';

const url = process.env.LANYING_URL;
const FIELD = 'Write a message';
let browser;
before(async () => (browser = await launch()));
after(() => (closeAll(), browser.close()));

/** Two friends, and the second one's page. */
async function pair(hash = 'chats', options = undefined) {
  const [alice, bob] = await Promise.all([user(url, 'alice'), user(url, 'bob')]);
  await befriend(alice, bob);
  const at = typeof hash === 'function' ? hash(alice) : hash;
  return { alice, bob, ...(await signedIn(browser, bob, at, options)) };
}
const chat = (options = undefined) => pair((alice) => `chats/u/${alice.uid}`, options);
const mine = (client, peer) => client.conversations.get(peer).messages;
const texts = (client, peer) => mine(client, peer).map(({ text, attachment }) => text || attachment.dName);
const badge = '.rail .badge';

test('a message that is taken back is not unread any more, before and after a reload', async () => {
  const { alice, bob, page, context } = await pair('contacts');
  await alice.conversations.send(bob.uid, false, { text: 'one' });
  await alice.conversations.send(bob.uid, false, { text: 'two' });
  await page.locator(badge, { hasText: '2' }).waitFor();
  await alice.conversations.recall(mine(alice, bob.uid)[0]);
  await page.locator(badge, { hasText: '1' }).waitFor();
  await page.reload();
  await page.locator(badge, { hasText: '1' }).waitFor();
  await alice.conversations.recall(mine(alice, bob.uid)[1]); // in the store alone: nothing of it is in memory
  await page.locator(badge).waitFor({ state: 'detached' });
  assert.equal(await page.title(), 'lanying');
  await reloaded(page);
  assert.equal(await page.locator(badge).count(), 0);
  await page.goto(`${url}/#/chats/u/${alice.uid}`);
  await page.locator('.center-note', { hasText: 'took back' }).first().waitFor();
  assert.equal(await page.locator('.bubble', { hasText: /one|two/ }).count(), 0);
  await context.close();
});

/** Texts of the page's own cache. */
const cached = ({ page }) =>
  page.evaluate(async () => {
    const { uid } = JSON.parse(localStorage.getItem('lanying-login') ?? '{}');
    const answered = (request) => new Promise((resolve, reject) => Object.assign(request, { onsuccess: () => resolve(request.result), onerror: () => reject(request.error) }));
    const base = await answered(indexedDB.open(`lanying-${location.host}-${uid}`));
    const rows = await answered(base.transaction('messages').objectStore('messages').getAll());
    base.close();
    return rows.map(({ text }) => text);
  });

test('what is edited or taken back is changed in the cache too', async () => {
  const { alice, bob, page, context } = await chat();
  for (const text of ['on Friday', 'at noon']) await alice.conversations.send(bob.uid, false, { text });
  await sees({ page }, 'at noon');
  await page.goto(`${url}/#/contacts`);
  await reloaded(page);
  await alice.conversations.edit(mine(alice, bob.uid)[0], 'on Monday');
  await alice.conversations.recall(mine(alice, bob.uid)[1]);
  await until('the cache has both', async () => String(await cached({ page })) === 'on Monday,', () => cached({ page }));
  await context.close();
});

for (const [how, path, by] of [['removed', '/group/kick', 'owner'], ['dissolved', '/group/destroy', 'owner'], ['left on another device', '/group/leave', 'member']]) {
  test(`a group that is ${how}: the page says so, offers no composer, and the list follows`, async () => {
    const [alice, bob] = await Promise.all([user(url, 'alice'), user(url, 'bob')]);
    await befriend(alice, bob);
    const gid = await founded(alice, 'Choir', [bob]);
    await alice.conversations.send(gid, true, { text: 'welcome' });
    const { page, context } = await signedIn(browser, bob, `chats/g/${gid}`);
    await sees({ page }, 'welcome');
    await (by === 'owner' ? alice : bob).rest.post(path, { group_id: gid, user_list: [bob.uid] });
    for (const round of ['at once', 'after a reload']) {
      await page.getByRole('heading', { name: 'You are not in' }).waitFor();
      assert.equal(await page.getByLabel(FIELD).count(), 0, round);
      await page.locator('.row', { hasText: 'Choir' }).waitFor({ state: 'detached' });
      assert.equal(await page.getByText('welcome').count(), 0, round);
      await reloaded(page);
    }
    await page.goto(`${url}/#/contacts`);
    await page.getByRole('heading', { name: 'Contacts' }).waitFor();
    assert.equal(await page.locator('.row', { hasText: 'Choir' }).count(), 0);
    await context.close();
  });
}

test('what happens right behind a drawing is drawn: an address, an event', async () => {
  const { page, context } = await pair();
  const moved = (drawn, hash) => {
    const watcher = new MutationObserver(() => {
      if (!document.querySelector(drawn)) return;
      watcher.disconnect();
      location.hash = hash;
    });
    watcher.observe(document, { childList: true, subtree: true });
  };
  await page.addInitScript(`(${moved})('.shell', '#/contacts')`);
  await page.reload();
  await page.getByRole('heading', { name: 'Contacts' }).waitFor();
  const drawn = await page.evaluate(async () => {
    const home = /** @type {HTMLScriptElement} */ (document.querySelector('script[type=module]')).src;
    const [{ html, render }, { ClientContext, useEvents }] = await Promise.all(['view.js', 'hooks.js'].map((name) => import(new URL(name, home).href)));
    const client = { listeners: [], on: (name, listener) => (client.listeners.push(listener), () => {}), state: 'connecting' };
    const State = () => html`<p>${useEvents('state').state}</p>`;
    const box = document.body.appendChild(document.createElement('div'));
    render(html`<${ClientContext.Provider} value=${client}><${State} /><//>`, box);
    client.state = 'online';
    for (const listener of client.listeners) listener();
    await new Promise((resolve) => setTimeout(resolve, 500));
    return box.textContent;
  });
  assert.equal(drawn, 'online');
  await page.goto(`${url}/admin`);
  await page.evaluate((token) => sessionStorage.setItem('lanying-admin-token', token), process.env.LANYING_ADMIN_TOKEN);
  await page.addInitScript(`(${moved})('.admin-head', '#users')`);
  await page.reload();
  await page.locator('[aria-current=page][href="#users"]').waitFor();
  await context.close();
});

test('a file name that turns its direction is shown as it is', async () => {
  const { alice, bob, page, context } = await chat();
  await alice.conversations.sendFile(bob.uid, false, { blob: new Blob(['x']), name: 'invoice_\u202Efdp.exe', ctype: 4, fileType: 100 });
  const file = page.locator('a.file');
  await file.waitFor();
  assert.equal(await file.locator('b').textContent(), 'invoice_fdp.exe');
  assert.equal(await file.getAttribute('download'), 'invoice_fdp.exe');
  assert.match(await page.locator('.row-preview').textContent(), /^\[File\] invoice_fdp.exe$/);
  await context.close();
});

test('Enter that ends a composition sends nothing, in the order of events of every browser', async () => {
  const { alice, bob, page, context } = await chat();
  const field = page.getByLabel(FIELD);
  await field.fill('ni');
  for (const keys of [{ keyCode: 229, isComposing: false }, { keyCode: 13, isComposing: true }, { keyCode: 229, isComposing: true }]) {
    await field.evaluate((element, init) => {
      element.dispatchEvent(new CompositionEvent('compositionend', { data: 'ni', bubbles: true }));
      element.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, cancelable: true, ...init }));
    }, keys);
    assert.equal(await field.inputValue(), 'ni', JSON.stringify(keys));
  }
  await field.fill('你好');
  await field.press('Enter');
  await until('one message', () => texts(alice, bob.uid).length);
  assert.deepEqual(texts(alice, bob.uid), ['你好']);
  await context.close();
});

test('read is what was in sight', async () => {
  const [alice, bob] = await Promise.all([user(url, 'alice'), user(url, 'bob')]);
  await befriend(alice, bob);
  for (let count = 0; count < 70; count += 1) await alice.conversations.send(bob.uid, false, { text: `line ${count}\n\n\n\n` + 'x' });
  const { page, context } = await signedIn(browser, bob, `chats/u/${alice.uid}`);
  await until('what is there is read', () => mine(alice, bob.uid).at(-1).status === 2);
  await page.locator('.messages').evaluate((box) => (box.scrollTop -= 5_000));
  await page.getByLabel('New messages').waitFor();
  await alice.conversations.send(bob.uid, false, { text: 'look at this' });
  await page.locator(badge, { hasText: '1' }).waitFor();
  const typed = new Promise((resolve) => alice.on('typing', resolve));
  await page.getByLabel(FIELD).fill('Per'); // comes behind a read mark, if there were one
  await typed;
  const last = () => mine(alice, bob.uid).at(-1);
  assert.notEqual(last().status, 2);
  await page.getByLabel('New messages').click();
  await until('it is read', () => last().status === 2, last);
  await page.locator(badge).waitFor({ state: 'detached' });
  await context.close();
});

const file = (name, bytes) => ({ name, mimeType: 'application/octet-stream', buffer: Buffer.alloc(bytes, 7) });

test('files and texts arrive in the order in which they were given', async () => {
  const { alice, bob, page, context } = await chat();
  let first = true;
  await page.route(/\/file\/upload\?/, async (route) => {
    if (first) await new Promise((resolve) => setTimeout(resolve, 1_500));
    first = false;
    await route.continue();
  });
  await page.getByLabel('Attach a file').setInputFiles([file('large.bin', 3_000_000), file('medium.bin', 300_000), file('small.bin', 10)]);
  await say({ page }, 'that is all');
  const order = ['large.bin', 'medium.bin', 'small.bin', 'that is all'];
  assert.deepEqual(await page.locator('.bubble').evaluateAll((all) => all.map((one) => one.querySelector('b, .text')?.textContent)), order);
  await until('all are there', () => texts(alice, bob.uid).length === 4, () => texts(alice, bob.uid));
  assert.deepEqual(texts(alice, bob.uid), order);
  await page.locator('.share').waitFor({ state: 'detached' });
  await context.close();
});

test('an attachment chosen without a network waits, also over a reload, and can be given up', async () => {
  const { alice, bob, page, context, network } = await chat();
  network.up = false; // messages alone: a page without a server cannot be loaded again
  for (const socket of network.sockets) await socket.close();
  await page.locator('.banner').waitFor();
  await page.getByLabel('Attach a file').setInputFiles([file('given up.bin', 1_000), file('plan.bin', 2_000)]);
  await say({ page }, 'here it is');
  await page.locator('.bubble', { hasText: 'given up.bin' }).getByRole('button', { name: 'Cancel' }).click();
  await page.locator('.bubble', { hasText: 'given up.bin' }).waitFor({ state: 'detached' });
  await page.waitForFunction(() => document.querySelectorAll('.bubble').length === 2);
  await page.reload();
  await page.locator('.bubble', { hasText: 'plan.bin' }).waitFor();
  assert.equal(texts(alice, bob.uid).length, 0);
  network.up = true;
  await until('both are there', () => texts(alice, bob.uid).length === 2, () => texts(alice, bob.uid));
  assert.deepEqual(texts(alice, bob.uid), ['plan.bin', 'here it is']);
  await context.close();
});

test('offline like a text: the browser says so itself', async () => {
  const one = await chat();
  await offline(one);
  await one.page.getByLabel('Attach a file').setInputFiles([file('plan.bin', 2_000)]);
  await one.page.locator('.bubble', { hasText: 'plan.bin' }).getByRole('img', { name: 'Sending' }).waitFor();
  await online(one);
  await until('it is there', () => texts(one.alice, one.bob.uid).length === 1);
  await one.context.close();
});

const paste = (field, text) =>
  field.evaluate((element, value) => {
    const clipboardData = new DataTransfer();
    clipboardData.setData('text', value);
    element.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true }));
  }, text);

test('nothing is cut without a word', async () => {
  const { alice, bob, page, context } = await chat();
  const field = page.getByLabel(FIELD);
  await field.focus();
  await page.keyboard.insertText('x'.repeat(15_000));
  await field.press('Enter');
  await until('all of it is there', () => texts(alice, bob.uid)[0]?.length === 15_000);
  await field.fill('你'.repeat(25_000));
  await field.press('Enter');
  await page.locator('.toast', { hasText: 'too long for one message: 73 KB of at most 59 KB' }).waitFor();
  assert.equal((await field.inputValue()).length, 25_000);
  await page.goto(`${url}/#/settings`);
  await paste(page.getByLabel('Display name'), 'n'.repeat(61));
  await page.locator('.toast', { hasText: 'At most 60 characters' }).waitFor();
  await context.close();
});

test('Arabic and Hebrew are read from the right, wherever they stand', async () => {
  const { alice, bob, page, context } = await pair();
  await alice.rest.post('/user/nickname', { nick_name: 'שרה' });
  await alice.conversations.send(bob.uid, false, { text: 'مرحبا 123!' });
  const { mid } = mine(alice, bob.uid)[0];
  await alice.conversations.send(bob.uid, false, { text: 'hello', ext: { reply: { mid, name: 'שרה', text: 'مرحبا 123!' } } });
  await page.reload();
  await page.locator('.row b', { hasText: 'שרה' }).waitFor();
  await page.goto(`${url}/#/chats/u/${alice.uid}`);
  await sees({ page }, 'hello');
  const direction = (selector, hasText) => page.locator(selector, hasText && { hasText }).first().evaluate((element) => getComputedStyle(element).direction);
  for (const [selector, text] of [['.bubble .text', 'مرحبا'], ['.quote span', 'مرحبا'], ['.quote b'], ['.chat-title b'], ['.row b']]) assert.equal(await direction(selector, text), 'rtl', selector);
  assert.equal(await direction('.bubble .text', 'hello'), 'ltr');
  await page.getByLabel(FIELD).fill('שלום');
  assert.equal(await direction('.composer textarea'), 'rtl');
  await context.close();
});

test('a quote follows what it quotes: changed with it, gone with it, on every device', async () => {
  const { alice, bob, page, context } = await chat();
  await alice.conversations.send(bob.uid, false, { text: 'the code is 1234' });
  const original = () => mine(alice, bob.uid)[0];
  await sees({ page }, '1234');
  await page.locator('.message').hover();
  await page.getByRole('button', { name: 'Message actions' }).click();
  await page.getByRole('menuitem', { name: 'Reply' }).click();
  await say({ page }, 'thank you');
  await page.locator('.quote', { hasText: '1234' }).waitFor();
  await alice.conversations.edit(original(), 'the code is 5678');
  await page.locator('.quote', { hasText: '5678' }).waitFor();
  await page.locator('.message').first().hover();
  await page.getByRole('button', { name: 'Message actions' }).first().click();
  await page.getByRole('menuitem', { name: 'Reply' }).click();
  await page.locator('.answering', { hasText: '5678' }).waitFor();
  await alice.conversations.recall(original());
  await page.locator('.quote', { hasText: 'took back' }).waitFor();
  await page.locator('.answering').waitFor({ state: 'detached' });
  await page.reload();
  await page.locator('.quote', { hasText: /took back|not there/ }).waitFor();
  const other = await signedIn(browser, bob, `chats/u/${alice.uid}`);
  await other.page.locator('.quote', { hasText: 'not there any more' }).waitFor();
  for (const one of [page, other.page]) assert.equal(await one.getByText(/1234|5678/).count(), 0);
  await context.close();
  await other.context.close();
});

test('a draft is kept over a reload, with whom it names, and goes with the message', async () => {
  const [alice, bob] = await Promise.all([user(url, 'alice'), user(url, 'bob')]);
  await befriend(alice, bob);
  const gid = await founded(alice, 'Choir', [bob]);
  const { page, context } = await signedIn(browser, bob, `chats/g/${gid}`);
  const field = page.getByLabel(FIELD);
  await field.fill('for you @ali');
  await page.getByRole('option', { name: alice.username }).click();
  await page.reload();
  assert.equal(await field.inputValue(), `for you @${alice.username} `);
  await page.goto(`${url}/#/chats`);
  await page.locator('.row-preview', { hasText: '✎ for you' }).waitFor();
  await page.goto(`${url}/#/chats/g/${gid}`);
  await field.press('Enter');
  await until('alice is named', () => alice.conversations.get(gid).mentioned);
  await page.reload();
  await sees({ page }, 'for you');
  assert.equal(await field.inputValue(), '');
  await context.close();
});

test('a new password: this page goes on, all others are signed out', async () => {
  const { bob, page, context } = await pair('settings');
  const other = await signedIn(browser, bob, 'chats');
  await page.getByRole('button', { name: 'Change password' }).click();
  await page.getByLabel('Present password').fill('secret 123');
  await page.getByLabel('New password').fill('secret 456');
  await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click();
  await other.page.getByRole('heading', { name: 'Welcome' }).waitFor();
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await page.reload();
  await page.locator('.device-list', { hasText: 'this device' }).waitFor();
  await page.locator('.banner').waitFor({ state: 'detached' });
  await other.context.close();
  await context.close();
});

test('who deletes what they were typing, or leaves, types no more', async () => {
  const { alice, page, context } = await chat();
  const seen = [];
  alice.on('typing', ({ active }) => seen.push(active));
  const field = page.getByLabel(FIELD);
  await field.fill('Per');
  await until('alice sees that they type', () => seen.length === 1);
  await field.fill('');
  await until('and that they stopped', () => seen.length === 2);
  await field.fill('Perhaps');
  await until('alice sees that they type again', () => seen.length === 3);
  await page.goto(`${url}/#/contacts`);
  await until('they have left', () => seen.length === 4);
  assert.deepEqual(seen, [true, false, true, false]);
  await context.close();
});

test('"Today" follows the clock', async () => {
  const { alice, bob, page, context } = await pair();
  await page.clock.install({ time: new Date() });
  await alice.conversations.send(bob.uid, false, { text: 'good night' });
  await page.goto(`${url}/#/chats/u/${alice.uid}`);
  await page.reload();
  await page.locator('.day', { hasText: 'Today' }).waitFor();
  await page.clock.fastForward('24:00:00');
  await page.locator('.day', { hasText: 'Yesterday' }).waitFor();
  await page.locator('.row time', { hasText: 'Yesterday' }).waitFor();
  await context.close();
});

test('a notification goes with the message it is about', async () => {
  const { alice, bob, page, context } = await pair('contacts');
  await context.grantPermissions(['notifications']);
  await context.addInitScript(() => {
    globalThis.notes = [];
    globalThis.Notification = class {
      static permission = 'granted';
      constructor(title, { body }) {
        this.body = body;
        globalThis.notes.push(this);
      }
      close() {
        this.closed = true;
      }
    };
    localStorage.setItem('lanying-notify', 'on');
  });
  await reloaded(page);
  await alice.conversations.send(bob.uid, false, { text: 'not for you' });
  await page.waitForFunction(() => globalThis.notes[0]?.body === 'not for you');
  await alice.conversations.recall(mine(alice, bob.uid)[0]);
  await page.waitForFunction(() => globalThis.notes[0].closed);
  await context.close();
});

test('a browser that keeps nothing can register and chat', async () => {
  const alice = await user(url, 'alice');
  const { page, context, errors, name } = await device(browser, `nothing_${Date.now()}`);
  await context.addInitScript(() => {
    for (const which of ['localStorage', 'sessionStorage', 'indexedDB']) {
      Object.defineProperty(globalThis, which, { get: () => { throw new DOMException('Access is denied for this document.', 'SecurityError'); } });
    }
  });
  await page.goto(url);
  await page.getByRole('button', { name: 'Create account' }).click();
  await page.getByLabel('Username').fill(name);
  await page.getByLabel('Password').fill(' spaces around it ');
  await page.locator('form button').click();
  await page.locator('.shell').waitFor();
  await page.goto(`${url}/#/chats/u/${alice.uid}`);
  await say({ page }, 'nothing is kept');
  await until('it arrives', () => [...alice.conversations.all.values()].some(({ messages }) => messages.some(({ text }) => text === 'nothing is kept')));
  assert.deepEqual(errors, []);
  const admin = await context.newPage();
  await admin.goto(`${url}/admin`);
  await admin.getByLabel('Admin token').waitFor();
  await context.close();
});

test('a link ends where its address does', async () => {
  const { alice, bob, page, context } = await chat();
  const addresses = {
    'see (http://a.example/x).': 'http://a.example/x',
    'http://a.example/Foo_(bar)': 'http://a.example/Foo_(bar)',
    '(http://a.example/Foo_(bar))': 'http://a.example/Foo_(bar)',
    'http://a.example/y（说明）': 'http://a.example/y',
    '看http://a.example/z。好': 'http://a.example/z',
    '【http://a.example/q?a=[1]】': 'http://a.example/q?a=[1]',
    'http://a.example/中文?q=你好！': 'http://a.example/中文?q=你好',
    'really http://a.example/?!': 'http://a.example/',
  };
  for (const text of Object.keys(addresses)) await alice.conversations.send(bob.uid, false, { text });
  await sees({ page }, 'really');
  assert.deepEqual(await page.locator('.bubble .text a').allTextContents(), Object.values(addresses));
  await context.close();
});

test('what is searched is found however it is written', async () => {
  const { alice, bob, page, context } = await pair();
  await alice.rest.post('/user/nickname', { nick_name: 'ПРИВЕТ Élodie ＡＢＣ' });
  await alice.conversations.send(bob.uid, false, { text: 'hello' });
  for (const query of ['привет', 'elodie', 'É', ' abc ', 'ＡＢＣ']) {
    await page.goto(`${url}/#/chats`);
    await page.getByLabel('Search chats').fill(query);
    await page.locator('a.row', { hasText: 'ПРИВЕТ' }).first().waitFor();
    await page.getByLabel('Search chats').fill('');
  }
  await context.close();
});
