// Any value in any field of what other people write: the page shows it or leaves it out, and goes on.

import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import * as out from '../../lanying/web/sdk/outgoing.js';
import { befriend, closeAll, founded, launch, sees, signedIn, until, user } from './world.js';

const url = process.env.LANYING_URL;
const RTL = 'اسم عربي';
const HIDDEN = '\u202Efdp\u2066.\u200B\u200Eexe\u0007\u0000';
/** Values of any field. Objects are what JSON can hold, among them one that looks like a piece of a page to the library. */
const VALUES = [
  'http://[', 'http://', '//x', 'javascript:alert(1)', 'data:text/html,<script>window.hacked=1</script>',
  `${url}/app/allow?allow=1&qr_code=x`, `${url.replace('://', '://user:pw@')}/file/download/chat?file_sign=x`,
  `${url}/file/download/../../app/allow`, `${url}/file/download/chat%2f..%2f..%2fapp/allow`, 'http://other.example/file/download/chat',
  `${url.replace(/^http/, 'https')}/file/download/chat`, '<img src=x onerror="window.hacked=1">', `invoice_${HIDDEN}`, RTL, '\u200B\u200B', '\u3164', '\n\r\n\u2028x',
  'x'.repeat(3_000), '%', '{name}', '$&', null, true, -1, 0, 1e308, 0.5, [], [null], [[['x']]], {}, { toString: 1, valueOf: 1 }, { length: -1 },
  { __b: 1, type: 'img', props: { src: 'x', onerror: 'window.hacked=1' }, key: null, ref: null }, { then: 1 }, { url: {} },
];
/** One of each sort, for what takes a tour of the page each. */
const SORTS = ['http://[', `${url}/app/allow?allow=1&qr_code=x`, '<img src=x onerror="window.hacked=1">', `invoice_${HIDDEN}`, RTL, '\u200B\u200B', null, -1, 1e308, [null], { toString: 1, valueOf: 1 },
  { __b: 1, type: 'img', props: { src: 'x', onerror: 'window.hacked=1' }, key: null, ref: null }];
const ATTACHMENT = ['url', 'dName', 'fLen', 'width', 'height', 'duration', 'addr', 'lat', 'lon'];
/** Fields of REST answers that lead the page to what is looked at. */
const KEPT = /(^|_)(id|code|status|relation|role|cursor|expired_time)$|^data$|^user_id$|^group_id$|_time$/;

let browser;
before(async () => (browser = await launch()));
after(() => (closeAll(), browser.close()));

/** What is shown: characters that must not be there, text whose direction is not its own, and signs of script. */
function looked(rtl) {
  const wrong = [];
  const hidden = /[\0-\x08\x0B-\x1F\x7F-\x9F\u200B\u200E\u200F\u2028-\u202E\u2060-\u206F\uFEFF]/;
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT | NodeFilter.SHOW_ELEMENT);
  for (let node = walk.nextNode(); node; node = walk.nextNode()) {
    if (node.nodeType === Node.TEXT_NODE) {
      if (hidden.test(node.data)) wrong.push(`characters: ${JSON.stringify(node.data.slice(0, 60))} in ${node.parentElement.outerHTML.slice(0, 120)}`);
      if (node.data.includes(rtl) && !node.parentElement.closest('[dir=auto], bdi')) wrong.push(`direction: ${node.parentElement.outerHTML.slice(0, 160)}`);
    } else {
      for (const { name, value } of node.attributes) {
        if (hidden.test(value)) wrong.push(`characters: ${name}=${JSON.stringify(value.slice(0, 60))}`);
        if (/^on|^srcdoc$/.test(name) || (/^(href|src|action)$/.test(name) && /^\s*(javascript|data|vbscript):/i.test(value))) wrong.push(`script: ${name}=${value.slice(0, 60)}`);
      }
      if (['SCRIPT', 'IFRAME', 'OBJECT', 'EMBED'].includes(node.tagName)) wrong.push(node.outerHTML.slice(0, 120));
    }
  }
  if (window.hacked) wrong.push('script has run');
  return wrong;
}

/** Requests with the token in their address go to this server's files. */
function watched({ page, errors }, token) {
  page.on('request', (request) => {
    const address = new URL(request.url());
    const file = address.origin === new URL(url).origin && /^\/file\/download\/[a-z]+$/.test(address.pathname);
    if (request.url().includes(token) && !file) errors.push(`the token went to ${request.url()}`);
    if (/app\/allow/.test(request.url())) errors.push(`asked for ${request.url()}`);
  });
}

const policy = /Content Security|Refused to/;
const faults = ({ errors }) => errors.filter((text) => !policy.test(text)); // pictures of other servers are refused by the policy

async function tour(bob, places, of = undefined) {
  for (const [where, ready, act] of places) {
    await bob.page.goto(`${url}/#/${where}`);
    try {
      await bob.page.locator(ready).first().waitFor({ timeout: 10_000 });
      if (act) await act(bob.page);
    } catch (error) {
      throw new Error(`${where} of ${JSON.stringify(of)}: ${faults(bob)}`, { cause: error });
    }
    assert.deepEqual(await bob.page.evaluate(looked, RTL), [], where);
    assert.equal(await bob.page.locator('.broken').count(), 0, `${where}: ${faults(bob)}`);
    assert.deepEqual(faults(bob), [], where);
  }
}

test('messages of any content', async () => {
  const [alice, bob] = await Promise.all([user(url, 'alice'), user(url, 'bob')]);
  await befriend(alice, bob);
  const fields = (value) => Object.fromEntries(ATTACHMENT.map((name) => [name, value]));
  let sent = 0;
  for (const value of VALUES) {
    const ext = JSON.stringify({ reply: { mid: value, name: value, text: value, sender: value } });
    for (const ctype of Object.values(out.CTYPE).filter((kind) => kind !== out.CTYPE.COMMAND)) {
      const attachment = ctype ? JSON.stringify(ctype % 2 ? fields(value) : (value ?? fields(value))) : '';
      const config = JSON.stringify({ mentionAll: value, mentionList: value, groupMemberList: value });
      await alice.session.send(out.message(bob.uid, { text: typeof value === 'string' ? value : '', ctype, attachment, ext, config }));
      sent += 1;
    }
    await alice.session.send(out.message(bob.uid, { text: 'x', ext: JSON.stringify({ reply: value, input_status: value }), config: JSON.stringify(value) }));
  }
  await alice.conversations.send(bob.uid, false, { text: 'the last one' });
  const page = await signedIn(browser, bob);
  watched(page, bob.rest.token);
  await tour(page, [
    ['chats', '.row', undefined],
    [`chats/u/${alice.uid}`, '.bubble', async (view) => {
      await sees(page, 'the last one');
      const box = view.locator('.messages');
      for (let count = 0; count < 40; count += 1) {
        await box.evaluate((element) => (element.scrollTop = 0));
        await view.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
        assert.deepEqual(await view.evaluate(looked, RTL), [], 'messages');
        assert.equal(await view.locator('.broken').count(), 0, String(page.errors));
        if (await view.getByText('This is the beginning').count()) break;
      }
      await view.getByText('This is the beginning').waitFor({ state: 'attached' });
    }],
    ['contacts', '.row', undefined],
    ['settings', '.settings', undefined],
  ]);
  assert.ok(sent > 250);
  await page.context.close();
});

/** The answer with `value` in all fields but those that name things. */
function poisoned(answer, value, key = '') {
  if (Array.isArray(answer)) return answer.map((one) => poisoned(one, value, key));
  if (answer && typeof answer === 'object') return Object.fromEntries(Object.entries(answer).map(([name, one]) => [name, poisoned(one, value, name)]));
  return KEPT.test(key) || !key ? answer : value;
}

test('people, groups, files, announcements, requests and devices of any content', async () => {
  const [alice, bob, carol] = await Promise.all([user(url, 'alice'), user(url, 'bob'), user(url, 'carol')]);
  await befriend(alice, bob);
  await carol.rest.post('/roster/apply', { user_id: bob.uid, alias: '', reason: 'hello' });
  const gid = await founded(bob, 'Choir', [alice]);
  await bob.rest.post('/group/announcement/edit', { group_id: gid, title: 'Saturn', content: 'on Friday' });
  const file = await bob.upload(gid, true, new Blob(['x']), { name: 'a.txt', fileType: 200 });
  await bob.rest.post('/group/file/upload', { group_id: gid, name: 'a.txt', size: 1, type: 200, url: file });
  await alice.conversations.send(gid, true, { text: 'hello group' });
  await alice.conversations.send(bob.uid, false, { text: 'hello bob' });
  const page = await signedIn(browser, bob);
  watched(page, bob.rest.token);
  let value;
  const seen = new Set();
  await page.page.route(/\/(roster|group|user)\/(?!.*mute_mode)/, async (route) => {
    const response = await route.fetch();
    const body = await response.json();
    seen.add(new URL(route.request().url()).pathname);
    await route.fulfill({ response, json: { ...body, data: poisoned(body.data, value) } });
  });
  for (value of SORTS) {
    await page.page.goto('about:blank');
    await tour(page, [
      ['chats', '.row', undefined],
      [`chats/u/${alice.uid}`, '.bubble', undefined],
      [`chats/g/${gid}`, '.bubble', async (view) => {
        await view.locator('.chat-title').click();
        await view.locator('.file-list li').waitFor();
        await view.locator('.announcement').waitFor();
      }],
      ['contacts', '.request', undefined],
      [`contacts/u/${alice.uid}`, '.card-page', undefined],
      ['settings', '.device-list li', undefined],
    ], value);
  }
  for (const path of ['/roster/list', '/roster/apply/list', '/group/info', '/group/info/batch', '/group/member_list', '/group/file/list', '/group/announcement/list', '/user/profile', '/user/device/list']) assert.ok(seen.has(path), path);
  await page.context.close();
});

test('what cannot be drawn is left out, and everything around it works', async () => {
  const [alice, bob] = await Promise.all([user(url, 'alice'), user(url, 'bob')]);
  await befriend(alice, bob);
  for (const text of ['before', 'poison', 'after']) await alice.conversations.send(bob.uid, false, { text });
  const { time } = alice.conversations.get(bob.uid).messages[1];
  const page = await signedIn(browser, bob);
  await page.context.addInitScript((poison) => {
    const shown = Date.prototype.toLocaleTimeString;
    Date.prototype.toLocaleTimeString = function broken(...values) {
      if (this.getTime() === poison) throw new Error('a fault of this test');
      return shown.apply(this, values);
    };
  }, time);
  await page.page.goto(`${url}/#/chats/u/${alice.uid}`);
  await page.page.reload();
  await sees(page, 'after');
  await sees(page, 'before');
  assert.equal(await page.page.locator('.messages .broken').count(), 1);
  await page.page.getByLabel('Write a message').fill('still here');
  await page.page.getByLabel('Write a message').press('Enter');
  await until('alice gets an answer', () => alice.conversations.get(bob.uid).last?.text === 'still here');
  await page.page.goto(`${url}/#/settings`);
  await page.page.locator('.device-list li').first().waitFor();
  await page.context.close();
});
