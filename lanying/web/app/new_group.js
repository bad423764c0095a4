// A group of chosen friends.

import { html, useState } from './view.js';
import { Dialog } from './dialog.js';
import { chatPath, go, useEvents } from './hooks.js';
import { t } from './i18n.js';
import { PeoplePicker } from './people_picker.js';
import { attempt } from './toast.js';

export function NewGroup({ onClose }) {
  const client = useEvents('directory');
  const [chosen, setChosen] = useState(new Set());
  const create = async (event) => {
    event.preventDefault();
    const name = event.target.elements.name.value.trim();
    await attempt(async () => {
      const { group_id: gid } = await client.rest.post('/group/create', { name, type: 0, user_list: [...chosen] });
      client.directory.entered(gid);
      go(chatPath(gid, true));
      onClose();
    });
  };
  return html`<${Dialog} title=${t('newGroup')} onClose=${onClose}>
    <form onSubmit=${create}>
      <label>${t('groupName')}<input name="name" dir="auto" required maxlength="60" autofocus /></label>
      <${PeoplePicker} uids=${[...client.directory.friends]} chosen=${chosen} onChange=${setChosen} />
      <button class="button wide">${t('create')}</button>
    </form>
  <//>`;
}
