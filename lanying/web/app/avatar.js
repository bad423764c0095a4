// A round picture, or the first letter on a colour that belongs to the id.

import { html, useState } from './view.js';
import { line } from '../sdk/plain.js';
import { useClient } from './hooks.js';

const HUES = 12;

export function Avatar({ id, name, url, size = 44, group = false }) {
  const client = useClient();
  const [broken, setBroken] = useState('');
  const source = url !== broken && client ? client.fileUrl(url, { image_type: 2 }) : '';
  const look = { width: `${size}px`, height: `${size}px`, fontSize: `${Math.round(size * 0.42)}px` };
  return html`<span class=${`avatar hue-${id % HUES} ${group ? 'square' : ''}`} style=${look} aria-hidden="true">
    ${source
      ? html`<img src=${source} alt="" loading="lazy" onError=${() => setBroken(url)} />`
      : [...(line(name) || '·')][0].toUpperCase()}
  </span>`;
}

/** The avatar of a user or group by id. */
export function PeerAvatar({ peer, group, size }) {
  const { directory } = useClient();
  const row = group ? directory.group(peer) : directory.user(peer);
  return html`<${Avatar} id=${peer} name=${group ? directory.groupName(peer) : directory.name(peer)} url=${row?.avatar} size=${size} group=${group} />`;
}

export function peerName(client, peer, group, t) {
  if (!peer) return t('system');
  const name = group ? client.directory.groupName(peer) : client.directory.name(peer);
  return name || (group ? t('group') : String(peer));
}
