// Boxes to tick, one for each person.

import { html } from './view.js';
import { PeerAvatar, peerName } from './avatar.js';
import { useClient } from './hooks.js';
import { t } from './i18n.js';

export function PeoplePicker({ uids, chosen, onChange }) {
  const client = useClient();
  const toggle = (uid) => {
    const next = new Set(chosen);
    if (!next.delete(uid)) next.add(uid);
    onChange(next);
  };
  return html`<fieldset class="people"><legend>${t('members')}</legend>
    ${uids.map((uid) => html`<label key=${uid}><input type="checkbox" checked=${chosen.has(uid)} onChange=${() => toggle(uid)} /><${PeerAvatar} peer=${uid} size=${32} /><span dir="auto">${peerName(client, uid, false, t)}</span></label>`)}
  </fieldset>`;
}
