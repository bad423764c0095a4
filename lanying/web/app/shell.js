// The signed-in page: navigation, the list of the moment, and what is open beside it.

import { html, useEffect } from './view.js';
import { Avatar } from './avatar.js';
import { Chat } from './chat.js';
import { ContactList } from './contacts.js';
import { ConversationList } from './conversation_list.js';
import { ContactCard } from './contact_card.js';
import { Guard } from './guard.js';
import { composing, go, useEvents, useRoute } from './hooks.js';
import { t } from './i18n.js';
import { Icon } from './icons.js';
import { useNotifications } from './notify.js';
import { Settings } from './settings.js';

const TABS = [['chats', 'chat'], ['contacts', 'people'], ['settings', 'gear']];

export function Shell({ onLeave }) {
  const client = useEvents('state', 'conversations', 'directory');
  const [tab = 'chats', kind, id] = useRoute();
  useNotifications(client);
  useShortcuts();
  useEffect(() => {
    const hurry = () => document.hidden || client.session?.hurry();
    addEventListener('online', hurry);
    document.addEventListener('visibilitychange', hurry);
    return () => {
      removeEventListener('online', hurry);
      document.removeEventListener('visibilitychange', hurry);
    };
  }, [client]);
  const { unread } = client.conversations;
  const me = client.directory.user(client.uid);
  return html`<div class="frame">
    <${Banner} state=${client.state} onRetry=${() => client.session.hurry()} />
    <div class=${`shell ${kind ? 'has-detail' : ''}`}>
    <nav class="rail" aria-label=${t('more')}>
      <a class="rail-me" href="#/settings" aria-label=${t('profile')}>
        <${Avatar} id=${client.uid} name=${client.directory.name(client.uid)} url=${me?.avatar} size=${40} />
      </a>
      ${TABS.map(([name, icon]) => html`<a key=${name} class="rail-tab" href=${`#/${name}`} aria-current=${tab === name ? 'page' : undefined}>
        <${Icon} name=${icon} /><span>${t(name)}</span>
        ${name === 'chats' && unread > 0 && html`<b class="badge" aria-label=${t('unreadCount', { count: unread })}>${unread > 99 ? '99+' : unread}</b>`}
      </a>`)}
    </nav>
    <section class="list-pane" aria-label=${t(tab)}>
      <${Guard} key=${tab} of=${tab} show=${() => (tab === 'contacts' ? html`<${ContactList} />` : tab === 'settings' ? html`<${Settings} onLeave=${onLeave} />` : html`<${ConversationList} open=${Number(id)} />`)} />
    </section>
    <main class="detail-pane">
      <${Guard} key=${`${tab}/${id}`} of=${id} show=${() => detail(tab, kind, Number(id))} />
    </main>
    </div>
  </div>`;
}

/** What is open beside the list. */
function detail(tab, kind, id) {
  if (tab === 'chats' && id) return html`<${Chat} key=${id} peer=${id} group=${kind === 'g'} />`;
  if (tab === 'contacts' && id) return html`<${ContactCard} key=${id} uid=${id} />`;
  return html`<div class="empty"><${Icon} name="chat" /><h2>${t('pickChat')}</h2><p>${t('pickChatText')}</p></div>`;
}

function Banner({ state, onRetry }) {
  if (state === 'online') return null;
  return html`<div class="banner" role="status">
    <span>${state === 'offline' ? t('offline') : t('connecting')}</span>
    ${state === 'offline' && html`<button class="link" onClick=${onRetry}>${t('reconnect')}</button>`}
  </div>`;
}

/** Ctrl K: search. Escape: back to the list. */
function useShortcuts() {
  useEffect(() => {
    const pressed = (event) => {
      if ((event.ctrlKey || event.metaKey) && event.key === 'k') {
        event.preventDefault();
        /** @type {HTMLElement | null} */ (document.querySelector('.list-pane input[type=search]'))?.focus();
      } else if (event.key === 'Escape' && !composing(event) && !event.defaultPrevented && !document.querySelector('dialog[open]')) {
        const [tab] = location.hash.replace('#/', '').split('/');
        if (tab) go(tab);
      }
    };
    addEventListener('keydown', pressed);
    return () => removeEventListener('keydown', pressed);
  }, []);
}
