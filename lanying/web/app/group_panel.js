// A group: its members and their roles, announcements, files, settings.

import { html, useEffect, useState } from './view.js';
import { count, line } from '../sdk/plain.js';
import { Avatar, PeerAvatar, peerName } from './avatar.js';
import { ask } from './dialog.js';
import { go, useEvents, useFetched } from './hooks.js';
import { t } from './i18n.js';
import { IconButton } from './icons.js';
import { GroupBoard, GroupFiles } from './group_board.js';
import { Menu } from './menu.js';
import { PeoplePicker } from './people_picker.js';
import { attempt } from './toast.js';

const FOREVER = -1;

export function GroupPanel({ gid, onClose }) {
  const client = useEvents('directory');
  const { rest, directory } = client;
  const [info, loadInfo] = useFetched(() => rest.get('/group/info', { group_id: gid }), [gid], {});
  const [members, loadMembers] = useFetched(() => rest.get('/group/member_list', { group_id: gid }), [gid], []);
  const [admins, loadAdmins] = useFetched(() => rest.get('/group/admin_list', { group_id: gid }), [gid], []);
  const [inviting, setInviting] = useState(null);
  const again = () => Promise.all([loadInfo(), loadMembers(), loadAdmins()]);
  useEffect(() => client.on('notice', (entry) => entry.kind === 'group' && entry.gid === gid && again()), [gid]);
  const isAdmin = (uid) => admins.some((row) => (row.user_id ?? row) === uid);
  const owner = info.owner_id === client.uid;
  const leading = owner || isAdmin(client.uid);
  const call = (path, params, done) => attempt(() => rest.post(path, { group_id: gid, ...params }), done).then(again);
  const away = (path) => attempt(async () => {
    await rest.post(path, { group_id: gid });
    await client.conversations.hide(gid);
    go('chats');
  });
  const rename = (event) => {
    event.preventDefault();
    call('/group/info/name', { value: event.target.elements.name.value }, t('saved'));
  };
  const picture = (event) => attempt(async () => {
    const value = await client.uploadAvatar(event.target.files[0], gid);
    await rest.post('/group/info/avatar', { group_id: gid, value });
  }, t('saved')).then(again);
  const invite = () => call('/group/invite', { user_list: [...inviting] }, t('requestSent')).then(() => setInviting(null));
  const uids = members.map((row) => row.user_id);
  return html`<aside class="panel" aria-label=${t('groupInfo')}>
    <header><h2>${t('groupInfo')}</h2><${IconButton} icon="close" label=${t('close')} onClick=${onClose} /></header>
    <div class="panel-body">
      <div class="panel-top">
        <label class="avatar-edit"><${Avatar} id=${gid} name=${info.name} url=${info.avatar} size=${72} group=${true} />
          ${leading && html`<input type="file" class="off-screen" accept="image/*" aria-label=${t('changePicture')} onChange=${picture} />`}</label>
        ${leading ? html`<form class="line" onSubmit=${rename}><label class="grow">${t('groupName')}<input name="name" dir="auto" value=${line(info.name)} maxlength="60" required /></label><button class="button plain small">${t('rename')}</button></form>` : html`<h3 dir="auto">${line(info.name)}</h3>`}
        <p class="muted">${t('number')} ${gid}</p>
      </div>
      <label class="switch-row">${t('muteNotice')}<input type="checkbox" role="switch" checked=${count(info.msg_mute_mode) > 0} onChange=${(event) => call('/group/msg/mute_mode', { msg_mute_mode: event.target.checked ? 1 : 0 })} /></label>
      ${leading && html`<label class="switch-row">${t('muteAll')}<input type="checkbox" role="switch" checked=${info.ban_expire_time !== 0 && info.ban_expire_time !== undefined} onChange=${(event) => (event.target.checked ? call('/group/settings/ban_all', { duration: FOREVER }) : call('/group/settings/unban_all', {}))} /></label>`}
      <h3>${t('members')} · ${uids.length}</h3>
      ${(leading || info.member_invite) && (inviting ? html`<${PeoplePicker} uids=${[...directory.friends].filter((uid) => !uids.includes(uid))} chosen=${inviting} onChange=${setInviting} />
          <div class="buttons"><button class="button small" disabled=${!inviting.size} onClick=${invite}>${t('invite')}</button><button class="button plain small" onClick=${() => setInviting(null)}>${t('cancel')}</button></div>`
        : html`<button class="button plain small" onClick=${() => setInviting(new Set())}>${t('invite')}</button>`)}
      <ul class="member-list">${uids.slice(0, 300).map((uid) => html`<li key=${uid}>
        <${PeerAvatar} peer=${uid} size=${34} /><span class="row-text"><b dir="auto">${peerName(client, uid, false, t)}</b>
          <small class="muted">${uid === info.owner_id ? t('owner') : isAdmin(uid) ? t('admin') : ''}</small></span>
        ${leading && uid !== client.uid && uid !== info.owner_id && html`<${Menu} icon="more" label=${`${t('actions')}: ${directory.name(uid)}`} items=${[
          owner && { label: isAdmin(uid) ? t('removeAdmin') : t('makeAdmin'), action: () => call(isAdmin(uid) ? '/group/admin/remove' : '/group/admin/add', { user_list: [uid] }) },
          { label: t('mute'), action: () => call('/group/ban', { user_list: [uid], duration: FOREVER }, t('muted')) },
          { label: t('unmute'), action: () => call('/group/unban', { user_list: [uid] }) },
          owner && { label: t('transfer'), action: () => call('/group/transfer', { new_owner: uid }) },
          { label: t('kick'), action: () => call('/group/kick', { user_list: [uid] }), danger: true },
        ]} />`}
      </li>`)}</ul>
      <${GroupBoard} gid=${gid} leading=${leading} />
      <${GroupFiles} gid=${gid} />
      <div class="buttons">${owner ? html`<button class="button danger" onClick=${() => ask(t('destroy'), () => away('/group/destroy'))}>${t('destroy')}</button>` : html`<button class="button danger" onClick=${() => ask(t('confirmLeave'), () => away('/group/leave'))}>${t('leave')}</button>`}</div>
    </div>
  </aside>`;
}
