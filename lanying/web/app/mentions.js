// Names offered behind an @ in groups.

import { html, useEffect, useState } from './view.js';
import { sought } from '../sdk/plain.js';
import { useClient } from './hooks.js';
import { t } from './i18n.js';

const OPEN = /(^|\s)@([^\s@]*)$/;
const SHOWN = 6;

export function Mentions({ gid, text, onPick }) {
  const client = useClient();
  const [members, setMembers] = useState(null);
  const match = OPEN.exec(text);
  useEffect(() => {
    if (match && !members) client.rest.get('/group/member_list', { group_id: gid }).then((rows) => setMembers(rows.map((row) => row.user_id)), () => {});
  }, [!!match]);
  if (!match || !members) return null;
  const wanted = sought(match[2]);
  const rows = [{ uid: -1, name: t('mentionAll') }, ...members.filter((uid) => uid !== client.uid).map((uid) => ({ uid, name: client.directory.name(uid) }))]
    .filter(({ name }) => name && sought(name).includes(wanted)).slice(0, SHOWN);
  const before = text.slice(0, text.length - match[2].length);
  return html`<div class="mentions" role="listbox" aria-label=${t('members')}>
    ${rows.map(({ uid, name }) => html`<button role="option" aria-selected="false" key=${uid} onClick=${() => onPick(name, uid, `${before}${name} `)}>@<bdi>${name}</bdi></button>`)}
  </div>`;
}

/** The configuration of a message that names people. @param {Map<string, number>} names picked so far */
export function mentioned(text, names) {
  const uids = [...names].filter(([name]) => text.includes(`@${name}`)).map(([, uid]) => uid);
  if (!uids.length) return {};
  return { ...(uids.includes(-1) && { mentionAll: true }), mentionList: uids.filter((uid) => uid > 0) };
}
