// Groups of the app, moderated with their owner's rights.

import { html } from '../app/view.js';
import { line } from '../sdk/plain.js';
import { ask } from '../app/dialog.js';
import { attempt } from '../app/toast.js';
import { Menu } from '../app/menu.js';
import { Paged } from './paged.js';
import { w } from './words.js';

const FOREVER = -1;

export function Groups({ rest }) {
  const actions = ({ group_id: gid }, again) => {
    const run = (path, params = {}) => attempt(() => rest.post(path, { group_id: gid, ...params }, { group_id: String(gid) }), w('done')).then(again);
    return [
      { label: w('muteAll'), action: () => run('/group/settings/ban_all', { duration: FOREVER }) },
      { label: w('unmuteAll'), action: () => run('/group/settings/unban_all') },
      { label: w('destroy'), danger: true, action: () => ask(w('sure'), () => run('/group/destroy')) },
    ];
  };
  return html`<h2>${w('groups')}</h2>
    <${Paged} rest=${rest} path="/admin/api/groups" id="group_id" columns=${['name', 'number', 'owner', 'members', 'actions']}
      row=${(group, again) => html`<th scope="row" dir="auto">${line(group.name)}</th><td>${group.group_id}</td><td>${group.owner_id}</td><td>${group.status ? w('destroyed') : group.count}</td>
        <td>${!group.status && html`<${Menu} icon="more" label=${`${w('actions')}: ${group.name}`} items=${actions(group, again)} />`}</td>`} />`;
}
