// Send a message on to others.

import { html, useState } from './view.js';
import { sought } from '../sdk/plain.js';
import { PeerAvatar, peerName } from './avatar.js';
import { Dialog } from './dialog.js';
import { useClient } from './hooks.js';
import { t } from './i18n.js';
import { attempt, toast } from './toast.js';

const SIGN = /sign=([^&]+)/;

export function Forward({ message, onClose }) {
  const client = useClient();
  const [query, setQuery] = useState('');
  const known = new Map(client.conversations.list().map(({ peer, group }) => [peer, group]));
  for (const uid of client.directory.friends) if (!known.has(uid)) known.set(uid, false);
  for (const gid of client.directory.joined) if (!known.has(gid)) known.set(gid, true);
  const rows = [...known].map(([peer, group]) => ({ peer, group, name: peerName(client, peer, group, t) }))
    .filter(({ peer, name }) => peer && sought(name).includes(sought(query)));
  const forward = (peer, group) =>
    attempt(async () => {
      const attachment = await forwarded(client, message.attachment, peer, group);
      client.conversations.send(peer, group, { text: message.text, ctype: message.ctype, attachment });
      toast(t('forwarded'));
      onClose();
    });
  return html`<${Dialog} title=${t('forwardTo')} onClose=${onClose}>
    <input type="search" dir="auto" aria-label=${t('search')} placeholder=${t('search')} value=${query} onInput=${(event) => setQuery(event.target.value)} />
    <ul class="pick-list">${rows.slice(0, 50).map(({ peer, group, name }) => html`<li key=${peer}><button onClick=${() => forward(peer, group)}><${PeerAvatar} peer=${peer} group=${group} size=${36} /><span dir="auto">${name}</span></button></li>`)}</ul>
  <//>`;
}

/** The receiver of a forwarded file gets an address of their own. */
async function forwarded(client, attachment, peer, group) {
  const sign = typeof attachment.url === 'string' && SIGN.exec(attachment.url)?.[1];
  if (!sign) return attachment;
  const url = await client.forwardFile(sign, peer, group);
  return { ...attachment, url };
}
