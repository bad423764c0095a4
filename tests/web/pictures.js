// The pictures of docs/web.md, of a new server: `LANYING_ADMIN_TOKEN=… node pictures.js URL FOLDER`.
// Everything in them is said and done by somebody; the page is at rest when it is taken: no toast, no pointer, all pictures there.

import { befriend, closeAll, DESKTOP, device, founded, launch, offline, PHONE, say, sees, signedIn, user } from './world.js';

const [url, folder] = process.argv.slice(2);
const browser = await launch();

async function take({ page }, name) {
  await page.mouse.move(0, 0);
  await page.locator('.toast').waitFor({ state: 'detached' });
  await page.evaluate(() => /** @type {HTMLElement | null} */ (document.activeElement)?.blur());
  await page.waitForFunction(() => [...document.images].every((one) => !one.getClientRects().length || one.naturalWidth > 0));
  await page.evaluate(() => document.fonts.ready);
  await page.waitForTimeout(500); // scrolling has come to its end
  await page.screenshot({ path: `${folder}/${name}.png` });
  console.log(name);
}

/** A drawing as a file: hills at some hour, for a message or a face. */
const drawn = async ({ page }, [sky, light, hills], width = 480, height = 320) =>
  new Blob([Buffer.from(await page.evaluate(async ({ sky, light, hills, width, height }) => {
    const canvas = new OffscreenCanvas(width, height);
    const draw = canvas.getContext('2d');
    const back = draw.createLinearGradient(0, 0, width * 0.6, height);
    back.addColorStop(0, sky);
    back.addColorStop(1, light);
    draw.fillStyle = back;
    draw.fillRect(0, 0, width, height);
    draw.fillStyle = hills;
    draw.beginPath();
    draw.moveTo(0, height);
    for (const [x, y] of [[0, 0.8], [0.33, 0.44], [0.58, 0.8], [0.75, 0.6], [1, 1]]) draw.lineTo(x * width, y * height);
    draw.fill();
    return Array.from(new Uint8Array(await (await canvas.convertToBlob({ type: 'image/png' })).arrayBuffer()));
  }, { sky, light, hills, width, height }))], { type: 'image/png' });

const told = (one, peer, group, list) => list.reduce((before, text) => before.then(() => one.conversations.send(peer, group, { text })), Promise.resolve());

try {
  const login = await device(browser, 'login', DESKTOP);
  await login.page.goto(url);
  await login.page.locator('.login-card').waitFor();
  await take(login, 'login');

  const [alice, bob, carol, dan] = await Promise.all(['alice', 'bob', 'carol', 'dan'].map((name) => user(url, name, true)));
  for (const [one, nick, colours] of [[alice, 'Alice', ['#f7b2c4', '#fde3b0', '#8d5a97']], [bob, 'Bob', ['#79b8ff', '#fdd39a', '#2f5d50']], [carol, 'Carol', ['#23395b', '#8ea8c3', '#161925']]]) {
    const avatar = await one.uploadAvatar(await drawn(login, colours, 160, 160));
    await one.rest.post('/user/avatar', { avatar });
    await one.rest.post('/user/nickname', { nick_name: nick });
  }
  await dan.rest.post('/user/nickname', { nick_name: 'Dan' });
  for (const [a, b] of [[alice, bob], [alice, carol], [alice, dan], [bob, carol]]) await befriend(a, b);

  await told(dan, alice.uid, false, ['The printer works again.']);
  await told(carol, alice.uid, false, ['Hello Alice, this is Carol']);
  await told(alice, bob.uid, false, ['Hi Bob! Are you coming to the school fair on Saturday?']);
  await told(bob, alice.uid, false, ['Yes! I will bring the telescope 🔭']);
  const [question] = alice.conversations.get(bob.uid).messages;
  await alice.conversations.edit(question, 'Hi Bob! Are you coming to the school fair on Sunday?');
  await bob.conversations.send(alice.uid, false, { text: 'Sunday works even better', ext: { reply: { mid: question.mid, sender: alice.uid, name: 'Alice', text: question.text } } });
  const view = await drawn(login, ['#79b8ff', '#fdd39a', '#2f5d50']);
  await alice.conversations.sendFile(bob.uid, false, { blob: view, name: 'mountains.png', ctype: 1, fileType: 102, details: { width: 480, height: 320 } });
  await told(bob, alice.uid, false, ['What a view! ⛰️']);
  await alice.conversations.sendFile(bob.uid, false, { blob: new Blob(['nine o\'clock']), name: 'plan.txt', ctype: 4, fileType: 100 });
  await told(alice, bob.uid, false, ['Did you see my plan?']);

  const gid = await founded(alice, 'Astronomy club', [bob, carol]);
  await told(alice, gid, true, ['Welcome to the club!']);
  await told(carol, gid, true, ['Clear sky tonight, Jupiter rises at nine.']);
  await told(bob, gid, true, ['I have two warm blankets.']);
  await alice.rest.post('/group/announcement/edit', { group_id: gid, title: 'Saturn', content: 'On Friday, from the roof.' });

  const phone = await signedIn(browser, bob, `chats/u/${alice.uid}`, PHONE);
  await sees(phone, 'Did you see my plan?');
  await take(phone, 'chat-phone');
  const desk = await signedIn(browser, alice, `chats/u/${bob.uid}`);
  await sees(desk, 'Did you see my plan?');
  await desk.page.locator('.mark.read').last().waitFor();
  await take(desk, 'chat-desktop');
  await desk.page.goto(`${url}/#/chats/g/${gid}`);
  await sees(desk, 'blankets');
  await desk.page.locator('.chat-title').click();
  await desk.page.locator('.announcement').waitFor();
  await desk.page.locator('.member-list li').nth(2).waitFor();
  await take(desk, 'group-desktop');

  await phone.page.goto(`${url}/#/chats/g/${gid}`);
  await sees(phone, 'Jupiter');
  await offline(phone);
  await say(phone, 'Will do');
  await phone.page.getByRole('img', { name: 'Sending' }).waitFor();
  await take(phone, 'offline-phone');
  await phone.context.close();

  await told(carol, bob.uid, false, ['Is there room for one more in your car?']);
  const list = await signedIn(browser, bob, 'chats', PHONE);
  await list.page.locator('.row', { hasText: 'one more' }).waitFor();
  await take(list, 'list-phone');

  const dark = await signedIn(browser, alice, `chats/g/${gid}`);
  await dark.page.evaluate(() => (localStorage.setItem('lanying-theme', 'dark'), localStorage.setItem('lanying-language', 'zh'), location.reload()));
  await sees(dark, 'blankets');
  await dark.page.locator('.banner').waitFor({ state: 'detached' });
  await take(dark, 'chinese-dark');

  const admin = await device(browser, 'admin', DESKTOP);
  await admin.page.goto(`${url}/admin`);
  await admin.page.getByLabel('Admin token').fill(process.env.LANYING_ADMIN_TOKEN ?? '');
  await admin.page.getByRole('button', { name: 'Open' }).click();
  for (let count = 0; count < 40; count += 1) {
    await told(bob, alice.uid, false, Array.from({ length: 5 + (count % 9) * 4 }, (_, number) => `reading ${number}`)); // something to plot
    await admin.page.waitForTimeout(300);
  }
  await admin.page.getByRole('rowheader', { name: 'shard-0' }).waitFor();
  await take(admin, 'admin-desktop');
} finally {
  closeAll();
  await browser.close();
}
