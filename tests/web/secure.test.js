// The page over https as people come to it: errors of certificates end everything, the authority is one that the browser was given.
// `HOME` has Chromium's store of certificates, `LANYING_EMPTY_HOME` none; both come from tests/web/test_secure.py.

import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { DESKTOP, PHONE, device, launch } from './world.js';

const url = process.env.LANYING_URL;
const plain = url.replace('https:', 'http:');
let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

test('a browser that does not trust the server opens nothing of it but the page that says how', async (t) => {
  const stranger = await launch({ HOME: process.env.LANYING_EMPTY_HOME });
  t.after(() => stranger.close());
  const { page: refused } = await device(stranger, 'stranger', PHONE);
  await assert.rejects(refused.goto(url), /ERR_CERT_AUTHORITY_INVALID/);
  const { page } = await device(stranger, 'stranger', PHONE);
  await page.goto(plain);
  assert.equal(new URL(page.url()).pathname, '/trust');
  await page.locator('code', { hasText: process.env.LANYING_FINGERPRINT }).first().waitFor();
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'nothing is wider than a phone');
});

async function registered(name, options) {
  const one = await device(browser, name, options);
  await one.page.goto(`${plain}/trust`);
  await one.page.getByRole('link', { name: 'Open the chat' }).click();
  await one.page.getByRole('button', { name: 'Create account' }).click();
  await one.page.getByLabel('Username').fill(name);
  await one.page.getByLabel('Password').fill('secret 123');
  await one.page.locator('form button').click();
  await one.page.getByRole('heading', { name: 'Chats', exact: true }).waitFor();
  return one;
}

test('people register, one records a voice message and sends it, the other hears it', async () => {
  const tag = `_${Date.now().toString(36)}`;
  const [alice, bob] = await Promise.all([registered(`alice${tag}`, DESKTOP), registered(`bob${tag}`, PHONE)]);
  assert.ok(await alice.page.evaluate(() => isSecureContext), 'microphone, notifications and installation are allowed');
  await alice.page.goto(`${url}/#/contacts`);
  await alice.page.locator('.pane-head .icon-button').click();
  await alice.page.getByRole('menuitem', { name: 'Add a contact' }).click();
  await alice.page.getByLabel('Username or number').fill(bob.name);
  await alice.page.getByRole('button', { name: 'Find' }).click();
  await alice.page.getByRole('button', { name: 'Send request' }).click();
  await bob.page.goto(`${url}/#/contacts`);
  await bob.page.getByRole('button', { name: 'Accept' }).click();
  await bob.page.getByRole('link', { name: alice.name }).click();
  await bob.page.getByRole('button', { name: 'Write', exact: true }).click();
  await bob.page.getByRole('button', { name: 'Record a voice message' }).click();
  await bob.page.getByText('0:02').waitFor();
  await bob.page.getByRole('button', { name: 'Send the recording' }).click();
  await alice.page.goto(`${url}/#/chats`);
  await alice.page.locator('.row', { has: alice.page.locator('b', { hasText: bob.name }) }).first().click();
  await alice.page.locator('.voice').getByRole('button', { name: 'Play' }).click();
  await alice.page.waitForFunction(() => {
    const audio = document.querySelector('.voice audio');
    return audio.played.length > 0 && audio.played.end(0) > 0.5 && audio.error === null;
  });
  assert.match(await alice.page.locator('.voice audio').getAttribute('src'), /^https:/);
  assert.deepEqual([...alice.errors, ...bob.errors], []);
});
