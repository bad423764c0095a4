// One message.

import { Component, html } from './view.js';
import { line, lines } from '../sdk/plain.js';
import { PeerAvatar } from './avatar.js';
import { Attachment } from './attachment.js';
import { ClientContext } from './hooks.js';
import { explain, t } from './i18n.js';
import { messageActions } from './message_actions.js';
import { Menu } from './menu.js';
import { isEmoji, phrase, rich } from './text.js';
import { clock } from './time.js';

const QUOTE_CHARS = 200;
const MARKS = { 0: ['✓', 'sent'], 1: ['✓✓', 'delivered'], 2: ['✓✓', 'read'] };

/** Drawn again only when its message or a name has changed: messages are values. */
export class Bubble extends Component {
  shouldComponentUpdate(next) {
    return next.message !== this.props.message || next.first !== this.props.first || next.names !== this.props.names;
  }

  render({ message, first, onAnswer, onJump }) {
    return html`<${ClientContext.Consumer}>${(client) => view(client, message, first, onAnswer, onJump)}<//>`;
  }
}

function view(client, message, first, onAnswer, onJump) {
  const own = message.sender === client.uid;
  if (message.recalled) return html`<p class="center-note">${message.recalled === client.uid ? t('recalledYou') : phrase('recalledOther', { name: client.directory.name(message.recalled) || message.recalled })}</p>`;
  const alone = message.ctype === 0 && isEmoji(lines(message.text));
  const name = message.group && !own && first ? client.directory.name(message.sender) || message.sender : '';
  return html`<article class=${`message ${own ? 'own' : 'other'} ${first ? 'first' : ''}`}>
    ${message.group && !own && html`<span class="message-avatar">${first && html`<${PeerAvatar} peer=${message.sender} size=${34} />`}</span>`}
    <div class=${`bubble kind-${message.ctype} ${alone ? 'emoji-only' : ''}`}>
      ${name && html`<b class="sender" dir="auto">${name}</b>`}
      ${message.ext.reply && html`<${Quote} reply=${message.ext.reply} onJump=${onJump} />`}
      <${Attachment} message=${message} />
      ${message.text && html`<span class="text" dir="auto">${rich(lines(message.text))}</span>`}
      <span class="meta">
        ${message.edited > 0 && html`<span>${t('edited')}</span>`}
        <time>${clock(message.time)}</time>
        ${own && html`<${Mark} message=${message} />`}
      </span>
      ${message.state === 'failed' && html`<span class="failed" role="alert">${t('failed', { why: explain(Object.assign(new Error(message.error), { code: -1 })) })}
        <button class="link" onClick=${() => client.conversations.resend(message)}>${t('retry')}</button>
        <button class="link" onClick=${() => client.conversations.discard(message)}>${t('discard')}</button>
      </span>`}
    </div>
    ${message.mid > 0 && html`<${Menu} icon="more" label=${t('actions')} class="message-menu" items=${messageActions(client, message, onAnswer)} />`}
  </article>`;
}

function Mark({ message }) {
  if (message.state) return html`<span class=${message.state} role="img" aria-label=${message.state === 'sending' ? t('sending') : ''}>${message.state === 'sending' ? '◷' : '!'}</span>`;
  const [mark, word] = message.group ? MARKS[0] : MARKS[message.status] ?? MARKS[0];
  return html`<span class=${`mark ${word}`} role="img" aria-label=${t(word)} title=${t(word)}>${mark}</span>`;
}

function Quote({ reply, onJump }) {
  return html`<button class="quote" onClick=${() => onJump(reply.mid)}>
    <b dir="auto">${line(reply.name)}</b><span dir="auto">${lines(reply.text).slice(0, QUOTE_CHARS)}</span>
  </button>`;
}
