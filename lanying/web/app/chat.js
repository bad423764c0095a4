// One conversation: head, messages, composer, and what is known about a group beside them.

import { html, useEffect, useState } from './view.js';
import { count, sought } from '../sdk/plain.js';
import { PeerAvatar, peerName } from './avatar.js';
import { Composer } from './composer.js';
import { GroupPanel } from './group_panel.js';
import { Guard } from './guard.js';
import { go, useEvents } from './hooks.js';
import { t } from './i18n.js';
import { Icon, IconButton } from './icons.js';
import { Menu } from './menu.js';
import { MessageList } from './message_list.js';
import { phrase } from './text.js';
import { attempt } from './toast.js';
import { sendFiles } from './uploads.js';

const TYPING_MS = 6_000;

export function Chat({ peer, group }) {
  const { directory } = useEvents('directory');
  if (group && directory.loaded && !directory.joined.has(peer)) return html`<${NotIn} gid=${peer} />`;
  return html`<${Conversation} peer=${peer} group=${group} />`;
}

/** A group that this user has left, was removed from, or was never in. */
function NotIn({ gid }) {
  const { directory } = useEvents('directory');
  return html`<div class="empty" role="status"><${Icon} name="people" />
    <h2>${phrase('notInGroup', { name: directory.groupName(gid) || t('group') })}</h2>
    <button class="button" onClick=${() => go('chats')}>${t('back')}</button>
  </div>`;
}

function Conversation({ peer, group }) {
  const client = useEvents('conversations', 'directory', 'state');
  const conversation = client.conversations.get(peer, group);
  const [info, setInfo] = useState(false);
  const [query, setQuery] = useState(null);
  const [answering, setAnswering] = useState({ kind: '', message: null });
  const typing = useTyping(client, peer);
  useEffect(() => {
    client.conversations.open(peer, group).catch((error) => console.info(error));
    return () => client.conversations.close();
  }, [peer]);
  const name = peerName(client, peer, group, t);
  const members = count(client.directory.group(peer)?.count);
  const below = typing ? t('typing') : group && members ? t('membersCount', { count: members }) : '';
  return html`<div class=${`chat ${info ? 'with-panel' : ''}`}>
    <${DropZone} onFiles=${(files) => sendFiles(client, conversation, files)}>
      <header class="chat-head">
        <${IconButton} icon="back" label=${t('back')} class="phone-only" onClick=${() => go('chats')} />
        <button class="chat-title" onClick=${() => (group ? setInfo(!info) : peer && go(`contacts/u/${peer}`))}>
          <${PeerAvatar} peer=${peer} group=${group} size=${40} />
          <span><b dir="auto">${name}</b><small class="muted" aria-live="polite">${below}</small></span>
        </button>
        <${IconButton} icon="search" label=${t('searchInChat')} onClick=${() => setQuery(query === null ? '' : null)} />
        <${Menu} icon="more" label=${t('more')} items=${[
          group && { label: t('groupInfo'), action: () => setInfo(true) },
          { label: conversation.pinned ? t('unpin') : t('pin'), action: () => client.conversations.pin(peer, !conversation.pinned) },
          { label: t('hide'), action: () => attempt(() => client.conversations.hide(peer)) && go('chats') },
        ]} />
      </header>
      ${query !== null && html`<${Search} conversation=${conversation} query=${query} onQuery=${setQuery} />`}
      <${MessageList} key=${`${peer}${query ? '?' : ''}`} conversation=${conversation} query=${query} onAnswer=${(kind, message) => setAnswering({ kind, message })} />
      <${Composer} conversation=${conversation} answering=${answering} onAnswered=${() => setAnswering({ kind: '', message: null })} onEditLast=${(message) => setAnswering({ kind: 'edit', message })} />
    <//>
    ${info && group && html`<${Guard} of=${peer} show=${() => html`<${GroupPanel} gid=${peer} onClose=${() => setInfo(false)} />`} />`}
  </div>`;
}

function Search({ conversation, query, onQuery }) {
  const found = query ? conversation.messages.filter(({ text }) => sought(text).includes(sought(query))).length : 0;
  return html`<div class="search in-chat"><${Icon} name="search" />
    <input type="search" dir="auto" autofocus value=${query} aria-label=${t('searchInChat')} placeholder=${t('searchInChat')} onInput=${(event) => onQuery(event.target.value)} />
    <small class="muted" role="status">${query && t('found', { count: found })}</small>
    <${IconButton} icon="close" label=${t('close')} onClick=${() => onQuery(null)} />
  </div>`;
}

function DropZone({ onFiles, children }) {
  const [over, setOver] = useState(false);
  const dragged = (event) => {
    if (!event.dataTransfer?.types.includes('Files')) return;
    event.preventDefault();
    setOver(event.type === 'dragover');
    if (event.type === 'drop') onFiles([...event.dataTransfer.files]);
  };
  return html`<div class="chat-main" onDragOver=${dragged} onDragLeave=${() => setOver(false)} onDrop=${dragged}>
    ${children}
    ${over && html`<div class="drop-here">${t('dropHere')}</div>`}
  </div>`;
}

function useTyping(client, peer) {
  const [typing, setTyping] = useState(false);
  useEffect(() => {
    let timer;
    const stop = client.on('typing', ({ peer: who, active }) => {
      if (who !== peer) return;
      clearTimeout(timer);
      setTyping(active);
      if (active) timer = setTimeout(() => setTyping(false), TYPING_MS);
    });
    const done = client.on('message', ({ message }) => message.peer === peer && setTyping(false));
    return () => {
      clearTimeout(timer);
      stop();
      done();
    };
  }, [peer]);
  return typing;
}
