// A busy user: 500 conversations and one with 5,000 messages. Counts nodes and requests, not time.

import assert from 'node:assert/strict';

const CONVERSATIONS = 500;
const MESSAGES = 5_000;
const MAX_NODES = 6_000;
const MAX_FRAMES = 30;
const MAX_REQUESTS = 40;

/** Puts a cache of that size where the page keeps its own, then looks at it. */
export async function many({ page, network }, step) {
  const name = `many_${Date.now().toString(36)}`;
  await page.getByRole('button', { name: 'Create account' }).click();
  await page.getByLabel('Username').fill(name);
  await page.getByLabel('Password').fill('secret 123');
  await page.locator('form button').click();
  await page.getByRole('heading', { name: 'Chats', exact: true }).waitFor();
  await page.evaluate(fill, { CONVERSATIONS, MESSAGES });
  await page.goto('about:blank');
  network.frames = 0;
  let requests = 0;
  page.on('request', (request) => (requests += Number(!request.url().includes('/web/'))));
  await page.goBack();
  await page.locator('.row').first().waitFor();
  await page.waitForFunction(() => document.querySelectorAll('.row').length > 3);
  const nodes = () => page.evaluate(() => document.querySelectorAll('*').length);
  const rows = await page.locator('.row').count();
  assert.ok(rows < 60, `${rows} of ${CONVERSATIONS} rows are in the page`);
  await page.locator('.virtual').evaluate((box) => (box.scrollTop = box.scrollHeight));
  await page.waitForFunction((id) => document.querySelector(`.row[href$="/${id}"]`), await page.evaluate(() => JSON.parse(localStorage.getItem('lanying-login') ?? '{}').uid + 1_000_000 + 499));
  assert.ok((await page.locator('.row').count()) < 60);
  await page.locator('.virtual').evaluate((box) => (box.scrollTop = 0));
  await page.locator('.row').first().click();
  await page.locator('.bubble').first().waitFor();
  for (let count = 0; count < 25; count += 1) {
    await page.locator('.messages').evaluate((box) => (box.scrollTop = 0));
    await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
  }
  const bubbles = await page.locator('.bubble').count();
  const most = await nodes();
  step(`500 conversations, 5,000 messages: ${rows} rows, ${bubbles} bubbles, ${most} nodes, ${network.frames} frames and ${requests} requests`);
  assert.ok(bubbles >= 60 && bubbles <= 200, `${bubbles} bubbles are in the page`);
  assert.ok(most < MAX_NODES, `${most} nodes`);
  assert.ok(network.frames < MAX_FRAMES, `${network.frames} frames were sent`);
  assert.ok(requests < MAX_REQUESTS, `${requests} requests were made`);
}

/** Runs in the page: conversations with made-up peers in IndexedDB. */
async function fill({ CONVERSATIONS, MESSAGES }) {
  const { uid } = JSON.parse(localStorage.getItem('lanying-login') ?? '{}');
  const base = await new Promise((resolve, reject) => {
    const request = indexedDB.open(`lanying-${location.host}-${uid}`);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  const change = base.transaction(['messages', 'conversations'], 'readwrite');
  const message = (peer, number) => ({
    mid: number, peer, group: false, sender: number % 3 ? peer : uid, text: `message ${number} of a long conversation`, ctype: 0,
    attachment: {}, ext: {}, config: {}, time: 1_700_000_000_000 + number * 60_000, edited: 0, status: 2,
  });
  for (let count = 0; count < CONVERSATIONS; count += 1) {
    const peer = uid + 1_000_000 + count;
    const size = count ? 1 : MESSAGES;
    for (let number = 1; number <= size; number += 1) change.objectStore('messages').put(message(peer, number));
    change.objectStore('conversations').put({
      peer, group: false, last: message(peer, size), unread: count % 7, mentioned: false, readTo: 0, from: 1, end: true, order: 1_800_000_000_000 - count, pinned: false,
    });
  }
  await new Promise((resolve) => (change.oncomplete = resolve));
}
