// Debian's Chromium on a real server: people register, become friends, chat. `node browser.js URL`.
// Prints one line per step; the first that does not hold ends it.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { many } from './many.js';
import { DESKTOP, PHONE, WAIT_MS, device, launch } from './world.js';

const [url] = process.argv.slice(2);
const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const SERIOUS = ['serious', 'critical'];

const browser = await launch();
const everybody = [];
const complaints = () => everybody.flatMap(({ errors }) => errors);
const started = Date.now();
const step = (text) => console.log(`${String(Date.now() - started).padStart(6)} ms  ${text}`);

async function person(name, options = DESKTOP) {
  const one = await device(browser, name, options);
  everybody.push(one);
  await one.page.goto(url);
  return one;
}

async function register({ name, page }) {
  await page.getByRole('button', { name: 'Create account' }).click();
  await page.getByLabel('Username').fill(name);
  await page.getByLabel('Password').fill('secret 123');
  await page.locator('form button').click();
  await page.getByRole('heading', { name: 'Chats', exact: true }).waitFor();
  await page.locator('.banner').waitFor({ state: 'detached' });
}

async function befriend(a, b) {
  await a.page.goto(`${url}/#/contacts`);
  await a.page.locator('.pane-head .icon-button').click();
  await a.page.getByRole('menuitem', { name: 'Add a contact' }).click();
  await a.page.getByLabel('Username or number').fill(b.name);
  await a.page.getByRole('button', { name: 'Find' }).click();
  await a.page.getByRole('button', { name: 'Send request' }).click();
  await a.page.locator('dialog').waitFor({ state: 'detached' });
  await b.page.goto(`${url}/#/contacts`);
  await b.page.getByRole('button', { name: 'Accept' }).click();
  await b.page.getByRole('link', { name: a.name }).waitFor();
  await a.page.getByRole('link', { name: b.name }).click();
  await a.page.getByRole('button', { name: 'Write', exact: true }).click();
}

async function say({ page }, text) {
  const field = page.getByLabel('Write a message');
  await field.fill(text);
  await field.press('Enter');
  await sees({ page }, text);
}

const sees = ({ page }, text) => page.locator('.bubble .text', { hasText: text }).last().waitFor();
const openChat = ({ page }, name) => page.locator('.row', { has: page.locator('b', { hasText: name }) }).first().click();

async function accessible({ page }, where) {
  await page.evaluate(axeSource);
  const { violations } = await page.evaluate(() => axe.run(document, { resultTypes: ['violations'] }));
  const bad = violations.filter(({ impact }) => SERIOUS.includes(impact));
  assert.deepEqual(bad.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ html, failureSummary }) => `${html.slice(0, 200)} ${failureSummary}`).join(' | ')}`), [], where);
}

/** The admin page: figures, and a ban that ends a session. */
async function administer(admin, victim) {
  const { page } = admin;
  await page.goto(`${url}/admin`);
  await page.getByLabel('Admin token').fill('not the token');
  await page.getByRole('button', { name: 'Open' }).click();
  await page.getByText('That is not the admin token').waitFor();
  await page.getByLabel('Admin token').fill(process.env.LANYING_ADMIN_TOKEN ?? '');
  await page.getByRole('button', { name: 'Open' }).click();
  await page.locator('.plot path[d*=L]').first().waitFor({ state: 'attached' });
  await page.getByRole('rowheader', { name: 'shard-0' }).waitFor();
  await accessible(admin, 'admin');
  await page.getByRole('link', { name: 'Groups' }).click();
  await page.getByRole('rowheader', { name: 'Astronomy club' }).first().waitFor();
  await page.getByRole('link', { name: 'Server' }).click();
  await page.getByRole('button', { name: 'Back up now' }).click();
  await page.locator('.backups .state.ready').first().waitFor();
  await page.getByText('Last whole one').waitFor();
  await accessible(admin, 'backups of the admin page');
  await page.getByRole('link', { name: 'Users' }).click();
  await page.getByRole('searchbox').fill(victim.name); // the server has other users, too: more than a page
  const row = page.getByRole('row', { name: new RegExp(`^${victim.name} `) });
  const choose = async (action) => {
    await row.getByRole('button').click();
    await page.getByRole('menuitem', { name: action }).click();
  };
  await choose('Ban');
  await row.getByText('banned').waitFor();
  await victim.page.getByRole('heading', { name: 'Welcome' }).waitFor();
  await choose('Lift ban');
  await row.getByText('active').waitFor();
  await accessible(admin, 'users of the admin page');
  step('the admin page: figures, groups, a backup, a ban and its end');
}

/** Open a menu and choose. */
async function chosen({ page }, button, action) {
  await button.click();
  await page.getByRole('menuitem', { name: action, exact: true }).click();
}

/** A picture file of some size, drawn by the browser. */
const picture = async ({ page }) =>
  Buffer.from(await page.evaluate(async () => {
    const canvas = new OffscreenCanvas(480, 320);
    const draw = canvas.getContext('2d');
    const sky = draw.createLinearGradient(0, 0, 480, 320);
    sky.addColorStop(0, '#79b8ff');
    sky.addColorStop(1, '#fdd39a');
    draw.fillStyle = sky;
    draw.fillRect(0, 0, 480, 320);
    draw.fillStyle = '#2f5d50';
    draw.beginPath();
    draw.moveTo(0, 320);
    draw.lineTo(160, 140);
    draw.lineTo(280, 260);
    draw.lineTo(360, 190);
    draw.lineTo(480, 320);
    draw.fill();
    return Array.from(new Uint8Array(await (await canvas.convertToBlob({ type: 'image/png' })).arrayBuffer()));
  }));

try {
  const tag = `_${Date.now().toString(36)}`;
  const alice = await person(`alice${tag}`);
  await accessible(alice, 'login');
  const bob = await person(`bob${tag}`, PHONE);
  await Promise.all([register(alice), register(bob)]);
  step('two people register');

  await befriend(alice, bob);
  step('become friends');

  await say(alice, 'Hi Bob! Are you coming to the school fair on Saturday?');
  await bob.page.goto(`${url}/#/chats`);
  await bob.page.locator('.rail .badge').waitFor();
  assert.match(await bob.page.title(), /^\(1\)/);
  await openChat(bob, alice.name);
  await say(bob, 'Yes! I will bring the telescope 🔭');
  await sees(alice, 'telescope');
  await alice.page.locator('.mark.read').first().waitFor();
  step('chat, unread counts, read marks');

  await say(alice, '<b>not bold</b> <img src=x onerror=alert(1)> https://example.com/a?b=1');
  const link = alice.page.locator('.bubble .text a').last();
  assert.equal(await link.getAttribute('rel'), 'noopener noreferrer nofollow');
  assert.equal(await alice.page.locator('.bubble .text b, .bubble .text img').count(), 0);
  const actions = async ({ page }, text, action) => {
    const message = page.locator('.message', { hasText: text }).last();
    await message.hover();
    await message.getByRole('button', { name: 'Message actions' }).click();
    await page.getByRole('menuitem', { name: action }).click();
  };
  await actions(alice, 'not bold', 'Take back');
  await alice.page.locator('.center-note', { hasText: 'You took back a message' }).waitFor();
  await bob.page.locator('.center-note', { hasText: 'took back a message' }).waitFor();
  await actions(alice, 'school fair', 'Edit');
  await alice.page.waitForFunction(() => document.querySelector('.composer textarea')?.value.includes('Saturday'));
  await alice.page.getByLabel('Write a message').fill('Hi Bob! Are you coming to the school fair on Sunday?');
  await alice.page.getByLabel('Write a message').press('Enter');
  await bob.page.locator('.bubble .text').getByText('Hi Bob! Are you coming to the school fair on Sunday?', { exact: true }).waitFor();
  await actions(bob, 'Sunday', 'Reply');
  await say(bob, 'Sunday works even better');
  await alice.page.locator('.quote', { hasText: 'Sunday' }).waitFor();
  step('text is text; recall, edit, reply');

  await alice.page.locator('input[type=file]').first().setInputFiles({ name: 'mountains.png', mimeType: 'image/png', buffer: await picture(alice) });
  const seen = bob.page.locator('.picture img').last();
  await seen.waitFor();
  await bob.page.waitForFunction(() => [...document.querySelectorAll('.picture img')].at(-1)?.naturalWidth > 0, undefined, { timeout: WAIT_MS });
  step('a picture');

  await bob.page.getByRole('button', { name: 'Record a voice message' }).click();
  await bob.page.getByText('0:01').waitFor();
  await bob.page.getByRole('button', { name: 'Send the recording' }).click();
  await alice.page.locator('.voice').waitFor();
  step('a voice message');
  await say(bob, 'What a view! ⛰️');
  await alice.page.getByLabel('Attach a file').setInputFiles({ name: 'plan.txt', mimeType: 'text/plain', buffer: Buffer.from('nine o\'clock') });
  const plan = bob.page.locator('a.file', { hasText: 'plan.txt' });
  await plan.getByText('12 B').waitFor();
  assert.equal(await plan.getAttribute('download'), 'plan.txt');
  await bob.page.getByLabel('Write a message').fill('Per');
  await alice.page.locator('.chat-title', { hasText: 'typing…' }).waitFor();
  await bob.page.getByLabel('Write a message').fill('');
  await alice.page.getByRole('button', { name: 'Search in this chat' }).click();
  await alice.page.getByRole('searchbox', { name: 'Search in this chat' }).fill('SUNDAY');
  await alice.page.getByText('2 found').waitFor();
  await alice.page.locator('.in-chat').getByRole('button', { name: 'Close' }).click();
  await bob.page.goto(`${url}/#/settings`);
  await say(alice, 'Did you see my plan?');
  await alice.page.locator('.message', { hasText: 'my plan?' }).getByRole('img', { name: 'Delivered' }).waitFor();
  await bob.page.getByLabel('Change picture').setInputFiles({ name: 'me.png', mimeType: 'image/png', buffer: await picture(bob) });
  await bob.page.waitForFunction(() => document.querySelector('.me .avatar img')?.naturalWidth > 0);
  await bob.page.goto(`${url}/#/chats`);
  await openChat(bob, alice.name);
  step('a file, typing, search, a delivered mark, a picture of oneself');
  await accessible(alice, 'chat');
  await accessible(bob, 'chat on a phone');

  const carol = await person(`carol${tag}`);
  await register(carol);
  await befriend(carol, alice);
  await say(carol, 'Hello Alice, this is Carol');
  await alice.page.goto(`${url}/#/contacts`);
  await alice.page.getByRole('link', { name: carol.name }).waitFor();
  await alice.page.locator('.pane-head .icon-button').click();
  await alice.page.getByRole('menuitem', { name: 'New group' }).click();
  await alice.page.getByLabel('Name of the group').fill('Astronomy club');
  for (const one of [bob, carol]) await alice.page.getByRole('checkbox', { name: one.name }).check();
  await alice.page.getByRole('button', { name: 'Create' }).click();
  await alice.page.locator('.chat-title', { hasText: 'Astronomy club' }).waitFor();
  await bob.page.goto(`${url}/#/contacts`);
  await carol.page.goto(`${url}/#/contacts`);
  for (const one of [bob, carol]) {
    const accept = one.page.getByRole('button', { name: 'Accept' });
    const group = one.page.getByRole('link', { name: /Astronomy club/ });
    await accept.or(group).first().waitFor();
    if (await accept.count()) await accept.first().click();
    await group.waitFor();
  }
  await say(alice, 'Welcome to the club!');
  for (const one of [bob, carol]) {
    await openChat(one, 'Astronomy club');
    await sees(one, 'Welcome to the club!');
  }
  await say(carol, 'Clear sky tonight, Jupiter rises at nine.');
  await sees(alice, 'Jupiter');
  await alice.page.getByRole('button', { name: /Astronomy club/ }).click();
  await alice.page.locator('.member-list li').nth(2).waitFor();
  await accessible(alice, 'group');
  const member = (name, action) => chosen(alice, alice.page.locator('.member-list').getByRole('button', { name: `Actions: ${name}` }), action);
  await member(bob.name, 'Make admin');
  await alice.page.locator('.member-list li', { hasText: bob.name }).getByText('Admin', { exact: true }).waitFor();
  await alice.page.getByRole('button', { name: 'New announcement' }).click();
  await alice.page.getByLabel('Title').fill('Saturn');
  await alice.page.getByLabel('Text', { exact: true }).fill('On Friday, from the roof.');
  await alice.page.locator('.panel form').getByRole('button', { name: 'Save' }).click();
  await alice.page.locator('.announcement', { hasText: 'from the roof' }).waitFor();
  await member(carol.name, 'Mute');
  await alice.page.locator('.toast', { hasText: 'Muted' }).waitFor();
  await say(carol, 'Nobody will read this');
  await carol.page.locator('.message', { hasText: 'Nobody will read' }).getByRole('alert').waitFor();
  await carol.page.getByRole('button', { name: 'Discard' }).click();
  await Promise.all([alice.page.waitForResponse(/group\/unban/), member(carol.name, 'Unmute')]);
  await alice.page.locator('.panel').getByRole('button', { name: 'Close' }).click();
  step('a group of three: roles, an announcement, muting');

  await carol.page.goto(`${url}/#/contacts`);
  await alice.page.getByLabel('Write a message').fill(`Is this for you, @${carol.name}`);
  await alice.page.getByRole('option', { name: `@${carol.name}` }).click();
  await alice.page.getByLabel('Write a message').press('Enter');
  await carol.page.goto(`${url}/#/chats`);
  await carol.page.locator('.row-preview em', { hasText: '[@you]' }).waitFor();
  await openChat(carol, 'Astronomy club');
  await actions(alice, 'Jupiter', 'Forward');
  await alice.page.getByRole('dialog').getByRole('button', { name: bob.name }).click();
  await alice.page.locator('.toast', { hasText: 'Forwarded' }).waitFor();
  step('a mention, a forwarded message');

  await bob.context.setOffline(true);
  bob.network.up = false;
  for (const socket of bob.network.sockets) await socket.close();
  await bob.page.locator('.banner').waitFor();
  await bob.page.getByLabel('Write a message').fill('Will do');
  await bob.page.getByLabel('Write a message').press('Enter');
  await bob.page.getByRole('img', { name: 'Sending' }).waitFor();
  await say(carol, 'Bring warm clothes');
  bob.network.up = true;
  await bob.context.setOffline(false);
  await bob.page.locator('.banner').waitFor({ state: 'detached' });
  await sees(bob, 'Bring warm clothes');
  await sees(carol, 'Will do');
  step('without network, and back: nothing is missing');

  const second = await person(`alice${tag}`);
  await second.page.getByLabel('Username').fill(alice.name);
  await second.page.getByLabel('Password').fill('secret 123');
  await second.page.locator('form button').click();
  await openChat(second, 'Astronomy club');
  for (const text of ['Welcome to the club!', 'Jupiter', 'Bring warm clothes', 'Will do']) await sees(second, text);
  await openChat(second, bob.name);
  await sees(second, 'Jupiter');
  await sees(second, 'Sunday works even better');
  await second.page.locator('.picture img').waitFor();
  step('a second device sees the same');

  await bob.page.goto(`${url}/#/chats`);
  await second.page.evaluate(() => (localStorage.setItem('lanying-theme', 'dark'), location.reload()));
  await openChat(second, 'Astronomy club');
  await sees(second, 'Will do');
  await accessible(second, 'dark');
  await second.page.goto(`${url}/#/settings`);
  await second.page.getByText('this device').waitFor();
  await accessible(second, 'settings');
  await second.page.evaluate(() => (localStorage.setItem('lanying-language', 'zh'), location.assign('/#/chats'), location.reload()));
  await second.page.getByRole('heading', { name: '聊天', exact: true }).waitFor();
  await openChat(second, 'Astronomy club');
  await sees(second, 'Will do');
  step('dark, Chinese, settings');

  const third = await person(alice.name, PHONE);
  await third.page.getByRole('button', { name: 'Sign in with another device' }).click();
  const code = await third.page.locator('.qr-text').innerText();
  await alice.page.goto(`${url}/#/settings`);
  await alice.page.getByRole('button', { name: 'Sign in another device' }).click();
  await alice.page.getByLabel('Code').fill(code);
  await alice.page.locator('dialog form button').click();
  await third.page.locator('.row', { hasText: 'Astronomy club' }).waitFor();
  step('signed in by a code');

  await administer(await person('admin'), carol);
  const plain = await person('plain');
  await plain.context.addInitScript(() => Object.defineProperty(navigator, 'mediaDevices', { value: undefined }));
  await plain.page.reload();
  await register({ ...plain, name: `plain${tag}` });
  await befriend(plain, alice);
  await plain.page.getByRole('button', { name: 'Record a voice message' }).click();
  await plain.page.getByText('Browsers allow the microphone on https pages only').waitFor();
  step('without https, voice is explained');

  await plain.page.locator('.chat-title').click();
  await plain.page.getByRole('button', { name: 'Block', exact: true }).click();
  await plain.page.locator('.card-page', { hasText: 'Blocked' }).waitFor();
  await plain.page.getByRole('button', { name: 'Unblock' }).click();
  await plain.page.getByRole('button', { name: 'Block', exact: true }).waitFor();
  step('blocking, and its end');

  await many(await person('many'), step);
  assert.deepEqual(complaints(), [], 'errors of the page');
} catch (error) {
  console.log(complaints().join('\n'));
  for (const [index, context] of browser.contexts().entries()) {
    for (const page of context.pages()) await page.screenshot({ path: `/tmp/lanying-web-${index}.png` }).catch(() => {});
  }
  throw error;
} finally {
  await browser.close();
}
