// What is known about a person.

import { html } from './view.js';
import { line, lines } from '../sdk/plain.js';
import { Avatar } from './avatar.js';
import { ask } from './dialog.js';
import { chatPath, go, useEvents } from './hooks.js';
import { t } from './i18n.js';
import { IconButton } from './icons.js';
import { attempt } from './toast.js';

const BLOCKED = 3;

export function ContactCard({ uid }) {
  const client = useEvents('directory');
  const { directory, rest } = client;
  const user = directory.user(uid);
  if (!user) return null;
  const friend = directory.friends.has(uid);
  const blocked = user.relation === BLOCKED;
  const refresh = () => directory.refresh('users', uid);
  const rename = (event) => {
    event.preventDefault();
    attempt(() => rest.post('/roster/ext', { user_id: uid, alias: event.target.elements.alias.value }), t('saved')).then(refresh);
  };
  const block = () => attempt(() => rest.post(blocked ? '/roster/unblock' : '/roster/block', { user_id: uid })).then(refresh);
  const remove = () =>
    ask(t('confirmDelete'), () =>
      attempt(async () => {
        await rest.post('/roster/delete', { user_id: uid });
        directory.friends.delete(uid);
        go('contacts');
      }));
  return html`<div class="card-page">
    <${IconButton} icon="back" label=${t('back')} class="phone-only card-back" onClick=${() => go('contacts')} />
    <${Avatar} id=${uid} name=${directory.name(uid)} url=${user.avatar} size=${96} />
    <h2 dir="auto">${directory.name(uid)}</h2>
    <p class="muted"><bdi>${line(user.username)}</bdi> · ${uid}${blocked ? ` · ${t('blocked')}` : ''}</p>
    ${user.description && html`<p dir="auto">${lines(user.description)}</p>`}
    <button class="button" onClick=${() => go(chatPath(uid, false))}>${t('write')}</button>
    ${friend && html`<form class="line" onSubmit=${rename}><label class="grow">${t('alias')}<input name="alias" dir="auto" defaultValue=${line(user.alias)} value=${line(user.alias)} maxlength="60" /></label><button class="button plain">${t('save')}</button></form>`}
    <div class="buttons">
      <button class="button plain" onClick=${block}>${blocked ? t('unblock') : t('block')}</button>
      ${friend && html`<button class="button danger" onClick=${remove}>${t('deleteContact')}</button>`}
    </div>
  </div>`;
}
