// All conversations, newest first.

import { html, useEffect, useState } from './view.js';
import { sought } from '../sdk/plain.js';
import { PeerAvatar, peerName } from './avatar.js';
import { chatPath, useEvents, useToday } from './hooks.js';
import { t } from './i18n.js';
import { IconButton, Icon } from './icons.js';
import { openDialog } from './dialog.js';
import { AddContact } from './add_contact.js';
import { NewGroup } from './new_group.js';
import { preview, previewed } from './preview.js';
import { brief } from './time.js';
import { VirtualList } from './virtual_list.js';
import { Menu } from './menu.js';

const ROW_PX = 72;

export function ConversationList({ open }) {
  const client = useEvents('conversations', 'directory', 'state');
  const [query, setQuery] = useState('');
  useToday();
  const wanted = sought(query);
  const items = client.conversations
    .list()
    .map((conversation) => ({ key: conversation.peer, conversation, name: peerName(client, conversation.peer, conversation.group, t) }))
    .filter(({ name, conversation }) => !wanted || sought(name).includes(wanted) || sought(preview(client, conversation.last)).includes(wanted));
  return html`<header class="pane-head">
      <h1>${t('chats')}</h1>
      <${Menu} icon="plus" label=${t('more')} items=${[
        { label: t('addContact'), action: () => openDialog(AddContact) },
        { label: t('newGroup'), action: () => openDialog(NewGroup) },
      ]} />
    </header>
    <div class="search"><${Icon} name="search" />
      <input type="search" value=${query} placeholder=${t('search')} aria-label=${t('searchChats')} onInput=${(event) => setQuery(event.target.value)} />
    </div>
    <${VirtualList} items=${items} rowHeight=${ROW_PX} label=${t('chats')}
      row=${({ conversation, name }) => html`<${Row} conversation=${conversation} title=${name} current=${conversation.peer === open} />`}
      empty=${html`<div class="empty small"><h2>${wanted ? t('noMatch') : t('noChats')}</h2>${!wanted && html`<p>${t('noChatsText')}</p><button class="button" onClick=${() => openDialog(AddContact)}>${t('addContact')}</button>`}</div>`} />`;
}

function Row({ conversation, title, current }) {
  const client = useEvents();
  const { peer, group, last, unread, mentioned, pinned } = conversation;
  useEffect(() => {
    if (!last) client.conversations.preview(conversation);
  }, [peer, last]);
  const [name, text] = previewed(client, last);
  const draft = current ? '' : conversation.draft?.text;
  return html`<a class=${`row ${pinned ? 'pinned' : ''}`} href=${`#/${chatPath(peer, group)}`} aria-current=${current ? 'true' : undefined}>
    <${PeerAvatar} peer=${peer} group=${group} size=${48} />
    <span class="row-text">
      <span class="row-top"><b dir="auto">${title}</b><time>${last ? brief(last.time) : ''}</time></span>
      <span class="row-bottom">
        <span class="row-preview">${mentioned && html`<em>${t('mentionedYou')} </em>`}${draft ? html`✎ <bdi>${draft}</bdi>` : html`${name && html`<bdi>${name}</bdi>: `}<bdi>${text}</bdi>`}</span>
        ${unread > 0 && html`<b class="badge" aria-label=${t('unreadCount', { count: unread })}>${unread > 99 ? '99+' : unread}</b>`}
      </span>
    </span>
  </a>`;
}
