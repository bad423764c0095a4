// Tells about messages that nobody is looking at: the title, and notifications where browsers allow them.

import { useEffect } from './view.js';
import { peerName } from './avatar.js';
import { chatPath, go } from './hooks.js';
import { t } from './i18n.js';
import { preview } from './preview.js';

const KEY = 'lanying-notify';

/** Why there are none: a word key, or '' when they are possible. */
export function notifyProblem() {
  if (!('Notification' in globalThis) || !globalThis.isSecureContext) return 'notifySecure';
  return Notification.permission === 'denied' ? 'notifyDenied' : '';
}

export const notifies = () => localStorage.getItem(KEY) === 'on' && !notifyProblem() && Notification.permission === 'granted';

export async function setNotifies(on) {
  if (on && Notification.permission !== 'granted' && (await Notification.requestPermission()) !== 'granted') return;
  localStorage.setItem(KEY, on ? 'on' : 'off');
}

export function useNotifications(client) {
  useEffect(() => {
    const title = () => {
      const { unread } = client.conversations;
      document.title = unread ? `(${unread > 99 ? '99+' : unread}) lanying` : 'lanying';
    };
    const told = ({ message }) => {
      const looking = !document.hidden && client.conversations.openPeer === message.peer;
      const quiet = message.group && client.directory.group(message.peer)?.msg_mute_mode;
      if (looking || quiet || !notifies()) return;
      const note = new Notification(peerName(client, message.peer, message.group, t), { body: preview(client, message), tag: String(message.peer) });
      note.onclick = () => {
        window.focus();
        go(chatPath(message.peer, message.group));
      };
    };
    const stops = [client.on('conversations', title), client.on('message', told)];
    return () => {
      for (const stop of stops) stop();
      document.title = 'lanying';
    };
  }, [client]);
}
