// Windows of the settings: a new password, signing in another device.

import { html } from './view.js';
import { Dialog } from './dialog.js';
import { useClient } from './hooks.js';
import { t } from './i18n.js';
import { attempt } from './toast.js';

export function ChangePassword({ onClose }) {
  const client = useClient();
  const save = async (event) => {
    event.preventDefault();
    const { before, after } = event.target.elements;
    if (await attempt(() => client.changePassword(before.value, after.value), t('saved'))) onClose();
  };
  return html`<${Dialog} title=${t('changePassword')} onClose=${onClose}><form onSubmit=${save}>
    <label>${t('oldPassword')}<input name="before" type="password" required autocomplete="current-password" autofocus /></label>
    <label>${t('newPassword')}<input name="after" type="password" required minlength="6" autocomplete="new-password" /></label>
    <button class="button wide">${t('save')}</button>
  </form><//>`;
}

export function AllowDevice({ onClose }) {
  const { rest } = useClient();
  const allow = async (event) => {
    event.preventDefault();
    const code = event.target.elements.code.value.trim();
    if (await attempt(() => rest.get('/app/allow', { allow: '1', qr_code: code }), t('saved'))) onClose();
  };
  return html`<${Dialog} title=${t('allowDevice')} onClose=${onClose}><form onSubmit=${allow}>
    <p>${t('allowDeviceText')}</p>
    <label>${t('code')}<input name="code" required autofocus autocapitalize="none" spellcheck="false" /></label>
    <button class="button wide">${t('allowDevice')}</button>
  </form><//>`;
}
