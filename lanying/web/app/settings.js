// The user's own things: profile, devices, looks, notifications.

import { html, useState } from './view.js';
import { LOCAL } from '../sdk/kept.js';
import { shownName } from '../sdk/directory.js';
import { count, line, lines } from '../sdk/plain.js';
import { Avatar } from './avatar.js';
import { ask, openDialog } from './dialog.js';
import { useEvents, useFetched } from './hooks.js';
import { language, setLanguage, t } from './i18n.js';
import { notifies, notifyProblem, setNotifies } from './notify.js';
import { AllowDevice, ChangePassword } from './settings_dialogs.js';
import { attempt } from './toast.js';

const THEMES = [['auto', 'themeAuto'], ['light', 'themeLight'], ['dark', 'themeDark']];
const APPROVALS = [[0, 'approvalAll'], [1, 'approvalAsk'], [3, 'approvalNone']];

export function Settings({ onLeave }) {
  const client = useEvents('directory', 'profile');
  const { rest, directory, uid } = client;
  const [profile, loadProfile] = useFetched(() => rest.get('/user/profile'), [], {});
  const [settings, loadSettings] = useFetched(() => rest.get('/user/settings'), [], {});
  const refresh = () => (loadProfile(), directory.refresh('users', uid));
  const rename = (event) => {
    event.preventDefault();
    attempt(() => rest.post('/user/nickname', { nick_name: event.target.elements.nick.value }), t('saved')).then(refresh);
  };
  const picture = (event) =>
    attempt(async () => {
      const avatar = await client.uploadAvatar(event.target.files[0]);
      await rest.post('/user/avatar', { avatar });
    }, t('saved')).then(refresh);
  const change = (fields) => attempt(() => rest.post('/user/settings', { user_id: uid, ...fields }), t('saved')).then(loadSettings);
  return html`<header class="pane-head"><h1>${t('settings')}</h1></header>
    <div class="settings">
      <section class="me">
        <label class="avatar-edit" title=${t('changePicture')}><${Avatar} id=${uid} name=${directory.name(uid)} url=${profile.avatar} size=${72} />
          <input type="file" class="off-screen" accept="image/*" aria-label=${t('changePicture')} onChange=${picture} /></label>
        <span class="row-text"><b dir="auto">${shownName(profile)}</b><small class="muted"><bdi>${line(profile.username)}</bdi> · ${uid}</small></span>
      </section>
      <form class="line" onSubmit=${rename}><label class="grow">${t('nickname')}<input name="nick" dir="auto" value=${line(profile.nick_name)} maxlength="60" /></label><button class="button plain">${t('save')}</button></form>
      <${Choice} label=${t('approval')} value=${settings.auth_mode ?? 1} options=${APPROVALS} onChange=${(value) => change({ auth_mode: Number(value) })} />
      <label class="switch-row">${t('groupConfirm')}<input type="checkbox" role="switch" checked=${!!settings.group_confirm} onChange=${(event) => change({ group_confirm: event.target.checked })} /></label>
      <${Notifications} />
      <${Choice} label=${t('appearance')} value=${document.documentElement.dataset.theme} options=${THEMES} onChange=${setTheme} />
      <${Choice} label=${t('language')} value=${language()} options=${[['en', 'English'], ['zh', '中文']]} onChange=${setLanguage} />
      <${Devices} />
      <div class="buttons column">
        <button class="button plain" onClick=${() => openDialog(AllowDevice)}>${t('allowDevice')}</button>
        <button class="button plain" onClick=${() => openDialog(ChangePassword)}>${t('changePassword')}</button>
        <button class="button danger" onClick=${() => ask(t('logout'), onLeave)}>${t('logout')}</button>
      </div>
    </div>`;
}

function setTheme(name) {
  document.documentElement.dataset.theme = name;
  LOCAL.setItem('lanying-theme', name);
}

function Choice({ label, value, options, onChange }) {
  return html`<label class="switch-row">${label}<select onChange=${(event) => onChange(event.target.value)}>
    ${options.map(([key, word]) => html`<option value=${key} selected=${lines(key) === lines(value)}>${t(word)}</option>`)}
  </select></label>`;
}

function Notifications() {
  const [on, setOn] = useState(notifies());
  const problem = notifyProblem();
  const change = async (event) => {
    await setNotifies(event.target.checked);
    setOn(notifies());
  };
  return html`<label class="switch-row">${t('notifyOn')}<input type="checkbox" role="switch" checked=${on} disabled=${!!problem} onChange=${change} /></label>
    ${problem && html`<p class="muted hint">${t(problem)}</p>`}`;
}

function Devices() {
  const client = useEvents();
  const [list, again] = useFetched(() => client.rest.get('/user/device/list'), [], []);
  const kick = (sn) => attempt(() => client.rest.post('/user/kick', { device_sn: sn })).then(again);
  return html`<section><h2>${t('devices')}</h2><ul class="device-list">
    ${list.map(({ device_sn: sn, user_agent: agent, platform }) => html`<li key=${sn}><span class="row-text"><b dir="auto">${line(agent) || platform}</b>
      <small class="muted">${sn === client.session?.sn ? t('thisDevice') : `#${count(sn)}`}</small></span>
      ${sn !== client.session?.sn && html`<button class="button plain small" onClick=${() => kick(sn)}>${t('logoutDevice')}</button>`}</li>`)}
  </ul></section>`;
}
