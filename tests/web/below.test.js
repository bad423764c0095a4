// The page below a path of a proxy that is set up as every guide shows: nothing needs to be configured.

import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { closeAll, device, launch, say, sees, until, user } from './world.js';

const url = process.env.LANYING_URL;
let browser;
before(async () => (browser = await launch()));
after(() => (closeAll(), browser.close()));
const PIXEL = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64');

test('register, stay signed in, chat, send a picture, set a face', async () => {
  const alice = await user(url, 'alice');
  const one = await device(browser, `bob_${Date.now()}`);
  const { page } = one;
  await page.goto(url);
  await page.getByRole('button', { name: 'Create account' }).click();
  await page.getByLabel('Username').fill(one.name);
  await page.getByLabel('Password').fill('secret 123');
  await page.locator('form button').click();
  await page.locator('.shell').waitFor();
  await page.reload();
  await page.locator('.shell').waitFor();
  const { uid } = await page.evaluate(() => JSON.parse(localStorage.getItem(`lanying-login${location.pathname.replace(/\/$/, '')}`) ?? '{}'));
  await alice.rest.post('/roster/apply', { user_id: uid, alias: '' });
  await page.goto(`${url}/#/contacts`);
  await page.getByRole('button', { name: 'Accept' }).click();
  await until('they are friends', () => alice.directory.friends.has(uid));
  await alice.conversations.send(uid, false, { text: 'below a path' });
  await page.goto(`${url}/#/chats/u/${alice.uid}`);
  await sees(one, 'below a path');
  await say(one, 'and back');
  const texts = () => alice.conversations.get(uid)?.messages ?? [];
  await until('the answer', () => texts().some(({ text }) => text === 'and back'));
  await page.locator('input[type=file]').first().setInputFiles({ name: 'dot.png', mimeType: 'image/png', buffer: PIXEL });
  await page.waitForFunction(() => [...document.querySelectorAll('.picture img')].at(-1)?.naturalWidth > 0);
  const { attachment } = await until('the picture', () => texts().find((message) => message.attachment?.url));
  assert.ok(attachment.url.startsWith(`${url}/file/download/chat?`), attachment.url);
  assert.equal((await fetch(alice.fileUrl(attachment.url))).status, 200);
  const avatar = await alice.uploadAvatar(new Blob([PIXEL], { type: 'image/png' }));
  assert.equal((await fetch(alice.fileUrl(avatar))).status, 200);
  assert.deepEqual(one.errors, []);
  await one.context.close();
});

test('the admin page, with and without a slash behind it', async () => {
  const { page, context, errors } = await device(browser, 'admin');
  for (const path of ['admin', 'admin/']) {
    await page.goto(`${url}/${path}`);
    await page.evaluate(() => sessionStorage.clear());
    await page.reload();
    await page.getByLabel('Admin token').fill(process.env.LANYING_ADMIN_TOKEN ?? '');
    await page.getByRole('button', { name: 'Open' }).click();
    await page.getByRole('rowheader', { name: 'shard-0' }).waitFor();
  }
  assert.deepEqual(errors, []);
  await context.close();
});
