// Find somebody by name or number and ask.

import { html, useState } from './view.js';
import { shownName } from '../sdk/directory.js';
import { line } from '../sdk/plain.js';
import { Avatar } from './avatar.js';
import { Dialog } from './dialog.js';
import { chatPath, go, useClient } from './hooks.js';
import { explain, t } from './i18n.js';
import { attempt } from './toast.js';

export function AddContact({ onClose }) {
  const client = useClient();
  const [found, setFound] = useState(null);
  const [error, setError] = useState('');
  const find = async (event) => {
    event.preventDefault();
    const name = event.target.elements.name.value.trim();
    setError('');
    setFound(null);
    try {
      setFound(/^\d+$/.test(name) ? await client.rest.get('/roster/id', { user_id: name }) : await client.rest.get('/roster/name', { username: name }));
    } catch (problem) {
      setError(explain(problem));
    }
  };
  const apply = async (event) => {
    event.preventDefault();
    const reason = event.target.elements.reason.value;
    const sent = await attempt(() => client.rest.post('/roster/apply', { user_id: found.user_id, alias: '', reason }), t('requestSent'));
    if (sent) onClose();
  };
  const write = () => {
    go(chatPath(found.user_id, false));
    onClose();
  };
  return html`<${Dialog} title=${t('addContact')} onClose=${onClose}>
    <form class="line" onSubmit=${find}>
      <label class="grow">${t('contactName')}<input name="name" required autofocus autocapitalize="none" spellcheck="false" /></label>
      <button class="button">${t('find')}</button>
    </form>
    <p class="form-error" role="alert">${error}</p>
    ${found && html`<div class="found">
      <${Avatar} id=${found.user_id} name=${shownName(found)} url=${found.avatar} size=${56} />
      <span class="row-text"><b dir="auto">${shownName(found)}</b><small class="muted"><bdi>${line(found.username)}</bdi> · ${found.user_id}</small></span>
    </div>
    ${found.user_id === client.uid ? html`<p>${t('thatIsYou')}</p>`
      : client.directory.friends.has(found.user_id) ? html`<button class="button" onClick=${write}>${t('write')}</button>`
      : html`<form onSubmit=${apply}><label>${t('requestText')}<input name="reason" dir="auto" maxlength="200" /></label><button class="button wide">${t('sendRequest')}</button></form>`}`}
  <//>`;
}
