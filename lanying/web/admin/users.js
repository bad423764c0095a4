// Accounts: find, ban, sign out, set a password, delete, create.

import { html, useState } from '../app/view.js';
import { line } from '../sdk/plain.js';
import { Dialog, ask, openDialog } from '../app/dialog.js';
import { attempt } from '../app/toast.js';
import { Menu } from '../app/menu.js';
import { Paged } from './paged.js';
import { w } from './words.js';

const BANNED = 1;

export function Users({ rest }) {
  const [round, setRound] = useState(0);
  const create = async (event) => {
    event.preventDefault();
    const { username, password } = event.target.elements;
    if (await attempt(() => rest.post('/user/register/v2', { username: username.value, password: password.value }), w('done'))) event.target.reset();
    setRound(round + 1);
  };
  const as = (uid) => ({ user_id: String(uid) });
  const actions = ({ user_id: uid, status }, again) => {
    const run = (call) => attempt(call, w('done')).then(again);
    return [
      status === BANNED
        ? { label: w('unban'), action: () => run(() => rest.call('PUT', '/user/enable', [uid])) }
        : { label: w('ban'), danger: true, action: () => run(() => rest.call('PUT', '/user/disable', [uid])) },
      { label: w('kick'), action: () => run(() => rest.post('/user/kick', {}, as(uid))) },
      { label: w('password'), action: () => openDialog(NewPassword, { onPassword: (password) => run(() => rest.post('/user/change_password_admin', { user_id: uid, password }, as(uid))) }) },
      { label: w('remove'), danger: true, action: () => ask(w('sure'), () => run(() => rest.post('/user/delete', {}, as(uid)))) },
    ];
  };
  return html`<h2>${w('users')}</h2>
    <details class="create"><summary>${w('create')}</summary><p class="muted">${w('createText')}</p>
      <form class="line" onSubmit=${create}><label class="grow">${w('username')}<input name="username" required /></label><label class="grow">${w('pass')}<input name="password" type="password" required autocomplete="new-password" /></label><button class="button">${w('create')}</button></form>
    </details>
    <${Paged} key=${round} rest=${rest} path="/user/list" id="user_id" columns=${['name', 'number', 'status', 'actions']}
      row=${(user, again) => html`<th scope="row" dir="auto">${line(user.username)}</th><td>${user.user_id}</td>
        <td><span class=${`state ${user.status === BANNED ? 'dead' : 'ready'}`}>${user.status === BANNED ? w('banned') : w('active')}</span></td>
        <td><${Menu} icon="more" label=${`${w('actions')}: ${user.username}`} items=${actions(user, again)} /></td>`} />`;
}

function NewPassword({ onPassword, onClose }) {
  const save = (event) => {
    event.preventDefault();
    onPassword(event.target.elements.password.value);
    onClose();
  };
  return html`<${Dialog} title=${w('password')} onClose=${onClose}><form onSubmit=${save}>
    <label>${w('password')}<input name="password" type="password" required minlength="6" autocomplete="new-password" autofocus /></label>
    <button class="button wide">${w('done')}</button>
  </form><//>`;
}
