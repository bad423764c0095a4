// Signed in or not.

import { html, useEffect, useState } from './view.js';
import { Client } from '../sdk/index.js';
import { BASE } from './base.js';
import { setDialogClient } from './dialog.js';
import { ClientContext } from './hooks.js';
import { t } from './i18n.js';
import { Login } from './login.js';
import { Shell } from './shell.js';
import { Toasts, toast } from './toast.js';

const KICKED_BY_SAME_DEVICE = 4;
/** Notices whose reason is said: password, suspended, removed, too many devices, device removed. */
const ENDS = [1, 2, 3, 5, 10];
const appId = document.querySelector('meta[name=app-id]')?.getAttribute('content') || 'lanying';

function browser() {
  const { userAgent } = navigator;
  const name = ['Edg', 'Firefox', 'Chrome', 'Safari'].find((one) => userAgent.includes(one)) ?? 'Web';
  const system = ['Android', 'iPhone', 'iPad', 'Windows', 'Mac', 'Linux'].find((one) => userAgent.includes(one));
  return [name === 'Edg' ? 'Edge' : name, system].filter(Boolean).join(' · ');
}

export const newClient = () => new Client(BASE, { appId, info: browser() });

export function App() {
  const [client, setClient] = useState(newClient);
  const [stage, setStage] = useState('starting');
  setDialogClient(client);
  useEffect(() => {
    client
      .resume()
      .then((found) => setStage(found ? 'in' : 'out'))
      .catch(() => setStage('out'));
    return client.on('end', ({ kind }) => {
      if (kind === KICKED_BY_SAME_DEVICE) return setStage('elsewhere');
      toast(t(ENDS.includes(kind) ? `ended${kind}` : 'loggedOut'), 'error');
      setStage('out');
      setClient(newClient());
    });
  }, [client]);
  useEffect(() => {
    let told = false; // once: every later write fails as well
    return client.on('storeFailed', () => {
      if (!told) toast(t('storeFailed'), 'error');
      told = true;
    });
  }, [client]);
  useEffect(() => client.on('left', ({ name }) => toast(t('notInGroup', { name: name || t('group') }))), [client]);
  const leave = async () => {
    await client.logout();
    location.hash = '';
    setStage('out');
    setClient(newClient());
  };
  return html`<${ClientContext.Provider} value=${client}>
    ${stage === 'out' && html`<${Login} onIn=${() => setStage('in')} />`}
    ${stage === 'in' && html`<${Shell} key=${client.uid} onLeave=${leave} />`}
    ${stage === 'elsewhere' &&
    html`<main class="notice-page">
      <h1>${t('otherTab')}</h1>
      <button class="button" onClick=${() => location.reload()}>${t('useHere')}</button>
    </main>`}
    <${Toasts} />
  <//>`;
}
