// Ask to join a group by its number.

import { html, useState } from './view.js';
import { count, line } from '../sdk/plain.js';
import { Avatar } from './avatar.js';
import { Dialog } from './dialog.js';
import { useClient } from './hooks.js';
import { explain, t } from './i18n.js';
import { attempt } from './toast.js';

export function JoinGroup({ onClose }) {
  const client = useClient();
  const [found, setFound] = useState(null);
  const [error, setError] = useState('');
  const find = async (event) => {
    event.preventDefault();
    setError('');
    try {
      setFound(await client.rest.get('/group/info', { group_id: event.target.elements.gid.value.trim() }));
    } catch (problem) {
      setError(explain(problem));
    }
  };
  const apply = async () => {
    if (await attempt(() => client.rest.post('/group/apply', { group_id: found.group_id, reason: '' }), t('requestSent'))) onClose();
  };
  return html`<${Dialog} title=${t('joinGroup')} onClose=${onClose}>
    <form class="line" onSubmit=${find}>
      <label class="grow">${t('number')}<input name="gid" required autofocus inputmode="numeric" pattern="[0-9]+" /></label>
      <button class="button">${t('find')}</button>
    </form>
    <p class="form-error" role="alert">${error}</p>
    ${found && html`<div class="found"><${Avatar} id=${found.group_id} name=${found.name} url=${found.avatar} size=${56} group=${true} />
      <span class="row-text"><b dir="auto">${line(found.name) || t('group')}</b><small class="muted">${t('membersCount', { count: count(found.count) })}</small></span></div>
      <button class="button wide" onClick=${apply}>${t('apply')}</button>`}
  <//>`;
}
