// One message.

import { Component, html } from './view.js';
import { line, lines } from '../sdk/plain.js';
import { PeerAvatar } from './avatar.js';
import { Attachment } from './attachment.js';
import { ClientContext } from './hooks.js';
import { explain, t } from './i18n.js';
import { IconButton } from './icons.js';
import { messageActions } from './message_actions.js';
import { Menu } from './menu.js';
import { body } from './preview.js';
import { isEmoji, phrase, rich } from './text.js';
import { clock } from './time.js';

const QUOTE_CHARS = 200;
const MARKS = { 0: ['✓', 'sent'], 1: ['✓✓', 'delivered'], 2: ['✓✓', 'read'] };

/** Drawn again only when its message or a name has changed: messages are values. */
export class Bubble extends Component {
  shouldComponentUpdate(next) {
    return next.message !== this.props.message || next.quoted !== this.props.quoted || next.first !== this.props.first || next.names !== this.props.names;
  }

  render(props) {
    return html`<${ClientContext.Consumer}>${(client) => view(client, props)}<//>`;
  }
}

function view(client, { message, quoted, first, onAnswer, onJump }) {
  const own = message.sender === client.uid;
  if (message.recalled) return html`<p class="center-note">${message.recalled === client.uid ? t('recalledYou') : phrase('recalledOther', { name: client.directory.name(message.recalled) || message.recalled })}</p>`;
  const alone = message.ctype === 0 && isEmoji(lines(message.text));
  const name = message.group && !own && first ? client.directory.name(message.sender) || message.sender : '';
  return html`<article class=${`message ${own ? 'own' : 'other'} ${first ? 'first' : ''}`}>
    ${message.group && !own && html`<span class="message-avatar">${first && html`<${PeerAvatar} peer=${message.sender} size=${34} />`}</span>`}
    <div class=${`bubble kind-${message.ctype} ${alone ? 'emoji-only' : ''}`}>
      ${name && html`<b class="sender" dir="auto">${name}</b>`}
      ${message.ext.reply && html`<${Quote} client=${client} reply=${message.ext.reply} quoted=${quoted} onJump=${onJump} />`}
      <${Attachment} message=${message} />
      ${message.share !== undefined && html`<${Share} client=${client} message=${message} />`}
      ${message.text && html`<span class="text" dir="auto">${rich(lines(message.text))}</span>`}
      <span class="meta">
        ${message.edited > 0 && html`<span>${t('edited')}</span>`}
        <time>${clock(message.time)}</time>
        ${own && html`<${Mark} message=${message} />`}
      </span>
      ${message.state === 'failed' && html`<span class="failed" role="alert">${t('failed', { why: explain({ code: message.code, message: lines(message.error) }) })}
        <button class="link" onClick=${() => client.conversations.resend(message)}>${t('retry')}</button>
        <button class="link" onClick=${() => client.conversations.discard(message)}>${t('discard')}</button>
      </span>`}
    </div>
    ${message.mid > 0 && html`<${Menu} icon="more" label=${t('actions')} class="message-menu" items=${messageActions(client, message, onAnswer)} />`}
  </article>`;
}

/** How much of a file is at the server, and a way to stop it. */
function Share({ client, message }) {
  return html`<span class="share"><progress value=${message.share} aria-label=${t('uploading', { name: line(message.attachment.dName) })}></progress>
    <${IconButton} icon="close" label=${t('cancel')} onClick=${() => client.conversations.discard(message)} /></span>`;
}

function Mark({ message }) {
  if (message.state) return html`<span class=${message.state} role="img" aria-label=${message.state === 'sending' ? t('sending') : ''}>${message.state === 'sending' ? '◷' : '!'}</span>`;
  const [mark, word] = message.group ? MARKS[0] : MARKS[message.status] ?? MARKS[0];
  return html`<span class=${`mark ${word}`} role="img" aria-label=${t(word)} title=${t(word)}>${mark}</span>`;
}

/** What is quoted, as it is now: changed with it, gone with it. Until it is found nothing of it is shown. */
function Quote({ client, reply, quoted, onJump }) {
  const name = quoted ? client.directory.name(quoted.sender) : line(reply.name);
  const text = quoted ? body(client, quoted) : quoted === undefined ? '…' : t('quoteGone');
  return html`<button class="quote" onClick=${() => onJump(reply.mid)}>
    <b dir="auto">${name}</b><span dir="auto">${text.slice(0, QUOTE_CHARS)}</span>
  </button>`;
}
