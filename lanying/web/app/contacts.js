// Friends, groups, and who asks to come in.

import { html, useEffect, useState } from './view.js';
import { line, sought } from '../sdk/plain.js';
import { AddContact } from './add_contact.js';
import { PeerAvatar, peerName } from './avatar.js';
import { openDialog } from './dialog.js';
import { Guard } from './guard.js';
import { chatPath, useEvents } from './hooks.js';
import { t } from './i18n.js';
import { Icon } from './icons.js';
import { JoinGroup } from './join_group.js';
import { Menu } from './menu.js';
import { NewGroup } from './new_group.js';
import { phrase } from './text.js';
import { attempt } from './toast.js';
import { VirtualList } from './virtual_list.js';

const ROW_PX = 60;
const WAITING = 0;

export function ContactList() {
  const client = useEvents('directory', 'notice');
  const [query, setQuery] = useState('');
  const { friends, joined } = client.directory;
  const people = [...friends].map((uid) => ({ key: uid, peer: uid, group: false, name: peerName(client, uid, false, t) }));
  const groups = [...joined].map((gid) => ({ key: gid, peer: gid, group: true, name: peerName(client, gid, true, t) }));
  const byName = (a, b) => a.name.localeCompare(b.name);
  const items = [...groups.sort(byName), ...people.sort(byName)].filter(({ name }) => sought(name).includes(sought(query)));
  return html`<header class="pane-head">
      <h1>${t('contacts')}</h1>
      <${Menu} icon="plus" label=${t('more')} items=${[
        { label: t('addContact'), action: () => openDialog(AddContact) },
        { label: t('newGroup'), action: () => openDialog(NewGroup) },
        { label: t('joinGroup'), action: () => openDialog(JoinGroup) },
      ]} />
    </header>
    <div class="search"><${Icon} name="search" /><input type="search" value=${query} placeholder=${t('search')} aria-label=${t('search')} onInput=${(event) => setQuery(event.target.value)} /></div>
    <${Requests} />
    <${VirtualList} items=${items} rowHeight=${ROW_PX} label=${t('contacts')}
      row=${({ peer, group, name }) => html`<a class="row slim" href=${group ? `#/${chatPath(peer, true)}` : `#/contacts/u/${peer}`}>
        <${PeerAvatar} peer=${peer} group=${group} size=${40} /><span class="row-text"><b dir="auto">${name}</b>${group && html`<small class="muted">${t('group')}</small>`}</span>
      </a>`}
      empty=${html`<div class="empty small"><h2>${t('noContacts')}</h2><p>${t('noContactsText')}</p><button class="button" onClick=${() => openDialog(AddContact)}>${t('addContact')}</button></div>`} />`;
}

/** Applications of people, invitations to groups, applications to own groups. */
function Requests() {
  const client = useEvents('directory');
  const [list, setList] = useState([]);
  const load = async () => {
    const waiting = (rows) => rows.filter(({ status, expired_time: ends }) => status === WAITING && (!ends || ends > Date.now()));
    const [people, invitations, applications] = await Promise.all([
      client.rest.get('/roster/apply/list', { cursor: '' }),
      client.rest.get('/group/invitation_list'),
      client.rest.post('/group/application_list', { group_list: [...client.directory.joined] }),
    ].map((one) => one.catch(() => [])));
    setList([
      ...waiting(people).map(({ user_id: uid, reason }) => ({ key: `u${uid}`, uid, reason, text: () => html`<bdi>${peerName(client, uid, false, t)}</bdi>`,
        answer: (yes) => client.rest.post(yes ? '/roster/accept' : '/roster/decline', { user_id: uid }) })),
      ...waiting(invitations).map(({ group_id: gid, inviter_id: inviter }) => ({ key: `g${gid}`, uid: inviter, reason: client.directory.name(inviter),
        text: () => phrase('groupInvitation', { name: peerName(client, gid, true, t) }),
        answer: (yes) => client.rest.post('/group/invite/handle', { group_id: gid, user_id: client.uid, approval: yes }) })),
      ...waiting(applications).map(({ group_id: gid, applicant_id: uid, reason }) => ({ key: `a${gid}-${uid}`, uid, reason,
        text: () => phrase('wantsIn', { name: peerName(client, uid, false, t), group: peerName(client, gid, true, t) }),
        answer: (yes) => client.rest.post('/group/apply/handle', { group_id: gid, user_id: uid, approval: yes }) })),
    ]);
  };
  useEffect(() => {
    load();
    return client.on('notice', load);
  }, []);
  if (!list.length) return null;
  const answer = (one, yes) => attempt(() => one.answer(yes)).then(load);
  return html`<section class="requests" aria-label=${t('requests')}>
    <h2>${t('requests')}</h2>
    ${list.map((one) => html`<${Guard} key=${one.key} of=${one} show=${() => html`<div class="request">
      <${PeerAvatar} peer=${one.uid} size=${40} />
      <span class="row-text"><b>${one.text()}</b><small class="muted" dir="auto">${line(one.reason)}</small></span>
      <button class="button small" onClick=${() => answer(one, true)}>${t('accept')}</button>
      <button class="button plain small" onClick=${() => answer(one, false)}>${t('decline')}</button>
    </div>`} />`)}
  </section>`;
}
