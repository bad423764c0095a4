// Tells about messages that nobody is looking at: the title, and notifications where browsers allow them.

import { useEffect } from './view.js';
import { LOCAL } from '../sdk/kept.js';
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

export const notifies = () => LOCAL.getItem(KEY) === 'on' && !notifyProblem() && Notification.permission === 'granted';

export async function setNotifies(on) {
  if (on && Notification.permission !== 'granted' && (await Notification.requestPermission()) !== 'granted') return;
  LOCAL.setItem(KEY, on ? 'on' : 'off');
}

export function useNotifications(client) {
  useEffect(() => {
    const title = () => {
      const { unread } = client.conversations;
      document.title = unread ? `(${unread > 99 ? '99+' : unread}) lanying` : 'lanying';
    };
    /** @type {Map<number, {note: Notification, mid: number}>} */
    const shown = new Map();
    /** What was taken back or read elsewhere is not left on the screen. */
    const gone = (peer) => {
      const { note, mid } = shown.get(peer) ?? {};
      const conversation = client.conversations.all.get(peer);
      if (!note || (conversation?.unread && !conversation.messages.some((one) => one.mid === mid && one.recalled))) return;
      note.close();
      shown.delete(peer);
    };
    const told = ({ message }) => {
      const looking = !document.hidden && client.conversations.openPeer === message.peer;
      const quiet = message.group && client.directory.group(message.peer)?.msg_mute_mode;
      if (looking || quiet || !notifies()) return;
      const note = new Notification(peerName(client, message.peer, message.group, t), { body: preview(client, message), tag: String(message.peer) });
      shown.set(message.peer, { note, mid: message.mid });
      note.onclick = () => {
        window.focus();
        go(chatPath(message.peer, message.group));
      };
    };
    title();
    const stops = [client.on('conversations', title), client.on('conversations', gone), client.on('message', told)];
    return () => {
      for (const stop of stops) stop();
      document.title = 'lanying';
    };
  }, [client]);
}
