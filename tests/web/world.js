// People for the tests of the page: some in a browser, some as SDK clients in this process, all on one real server.

import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';
import { WebSocket } from 'ws';
import { Client } from '../../lanying/web/sdk/index.js';

export const WAIT_MS = 30_000;
export const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };
export const DESKTOP = { viewport: { width: 1280, height: 800 } };
const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream'];
const PASSWORD = 'secret 123';
let number = 0;
/** @type {Client[]} */
const users = [];

export const launch = (env = {}) =>
  chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: FLAGS, env: { ...process.env, ...env } });

/** Wait for a condition; `saw` says what there was instead. */
export async function until(what, condition, saw = () => '') {
  const end = Date.now() + WAIT_MS;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) assert.fail(`${what}: not within ${WAIT_MS} ms ${JSON.stringify(await saw())}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** A user on a device in this process, of this very name when `exact`. */
export async function user(url, name, exact = false) {
  const client = new Client(url, { WebSocket, storage: new Map(), info: 'Node' });
  users.push(client);
  client.username = exact ? name : `${name}_${process.pid}_${(number += 1)}`;
  await client.register(client.username, PASSWORD);
  await client.login(client.username, PASSWORD);
  await until(`${name} is online`, () => client.state === 'online');
  return client;
}

/** Sign nobody in any more: open sessions keep a process alive. */
export const closeAll = () => users.splice(0).forEach((one) => one.close());

export async function befriend(a, b) {
  await a.rest.post('/roster/apply', { user_id: b.uid, alias: '' });
  await b.rest.post('/roster/accept', { user_id: a.uid }).catch((error) => assert.equal(error.code, 10005));
  await until('they are friends', () => a.directory.friends.has(b.uid) && b.directory.friends.has(a.uid));
}

/** A group of `owner` with the others in it at once. */
export async function founded(owner, name, others) {
  for (const one of others) await one.rest.post('/user/settings', { group_confirm: false });
  const { group_id: gid } = await owner.rest.post('/group/create', { name, type: 0, user_list: others.map(({ uid }) => uid) });
  for (const one of [owner, ...others]) await until('everybody is in the group', () => one.directory.joined.has(gid));
  return gid;
}

/**
 * A context whose WebSockets can be cut: browsers that are told to be offline keep the sockets they have.
 * `errors` are those of its pages, and what the policy refused.
 */
export async function device(browser, name, options = DESKTOP) {
  const context = await browser.newContext({ locale: 'en-GB', reducedMotion: 'reduce', ...options });
  const network = { up: true, sockets: [], frames: 0 };
  const errors = [];
  await context.routeWebSocket(/xsync/, (socket) => {
    if (!network.up) return socket.close();
    network.sockets.push(socket);
    const server = socket.connectToServer();
    socket.onMessage((frame) => {
      network.frames += 1;
      server.send(frame);
    });
  });
  const page = await context.newPage();
  page.setDefaultTimeout(WAIT_MS);
  page.on('pageerror', (error) => errors.push(`${name}: ${error.message}`));
  page.on('console', (message) => /Content Security|Refused to/.test(message.text()) && errors.push(`${name}: ${message.text()}`));
  return { name, page, context, network, errors };
}

export async function offline({ context, network, page }) {
  await context.setOffline(true);
  network.up = false;
  for (const socket of network.sockets) await socket.close();
  await page.locator('.banner').waitFor();
}

export async function online({ context, network, page }) {
  network.up = true;
  await context.setOffline(false);
  await page.locator('.banner').waitFor({ state: 'detached' });
}

/** Loads the page again, until it is drawn and connected: before it is drawn there is no banner either. */
export async function reloaded(page) {
  await page.reload();
  await page.locator('.shell').waitFor();
  await page.locator('.banner').waitFor({ state: 'detached' });
}

/** A page in which `client`'s user is signed in, on a device of its own, at `#/hash`. */
export async function signedIn(browser, client, hash = 'chats', options = DESKTOP) {
  const one = await device(browser, client.username, options);
  const login = JSON.stringify({ uid: client.uid, token: client.rest.token });
  await one.page.goto(`${client.rest.url}/#/${hash}`);
  await one.page.evaluate(([key, value]) => localStorage.setItem(key, value), [`lanying-login${client.path}`, login]);
  await reloaded(one.page);
  return one;
}

export const say = async ({ page }, text) => {
  await page.getByLabel('Write a message').fill(text);
  await page.getByLabel('Write a message').press('Enter');
};
export const sees = ({ page }, text) => page.locator('.bubble .text', { hasText: text }).last().waitFor();
