// Where messages are written.

import { html, useEffect, useRef, useState } from './view.js';
import { drafts } from './drafts.js';
import { EmojiPicker } from './emoji.js';
import { useClient } from './hooks.js';
import { t } from './i18n.js';
import { Icon, IconButton } from './icons.js';
import { Mentions, mentioned } from './mentions.js';
import { body } from './preview.js';
import { phrase } from './text.js';
import { attempt } from './toast.js';
import { Recorder } from './voice.js';

const TYPING_EVERY_MS = 4_000;
const QUOTE_CHARS = 120;

export function Composer({ conversation, answering, uploads, onAnswered, onEditLast }) {
  const client = useClient();
  const { peer, group } = conversation;
  const field = useRef(null);
  const typedAt = useRef(0);
  const names = useRef(new Map());
  const [text, setText] = useState(drafts.get(peer) ?? '');
  const [emoji, setEmoji] = useState(false);
  const [recording, setRecording] = useState(false);
  const change = (value) => {
    setText(value);
    if (answering.kind !== 'edit') drafts.set(peer, value);
    const now = Date.now();
    if (!group && peer && value && now - typedAt.current > TYPING_EVERY_MS) {
      typedAt.current = now;
      client.typing(peer, true);
    }
  };
  useEffect(() => {
    if (answering.kind === 'edit') setText(answering.message.text);
    if (answering.kind || matchMedia('(min-width: 800px)').matches) field.current?.focus();
  }, [answering]);
  useEffect(() => {
    const element = field.current;
    if (!element) return;
    element.style.height = 'auto';
    element.style.height = `${Math.min(element.scrollHeight, 160)}px`;
  }, [text, recording]);
  const done = () => {
    setText('');
    drafts.delete(peer);
    names.current.clear();
    typedAt.current = 0;
    onAnswered();
  };
  const submit = () => {
    const value = text.trim();
    if (!value) return;
    const { kind, message } = answering;
    if (kind === 'edit') attempt(() => client.conversations.edit(message, value));
    else {
      const ext = kind === 'reply' ? { reply: { mid: message.mid, sender: message.sender, name: client.directory.name(message.sender), text: body(client, message).slice(0, QUOTE_CHARS) } } : {};
      client.conversations.send(peer, group, { text: value, ext, config: group ? mentioned(value, names.current) : {} });
    }
    done();
  };
  const keys = (event) => {
    if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      submit();
    } else if (event.key === 'Escape' && answering.kind) {
      event.preventDefault();
      done();
    } else if (event.key === 'ArrowUp' && !text) {
      const last = conversation.messages.findLast((one) => one.sender === client.uid && one.mid && one.ctype === 0 && !one.recalled);
      if (last) onEditLast(last);
    }
  };
  const pasted = (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length) return;
    event.preventDefault();
    uploads.add(files);
  };
  const insert = (piece) => {
    const { selectionStart: from, selectionEnd: to } = field.current;
    change(text.slice(0, from) + piece + text.slice(to));
    field.current.focus();
  };
  const picked = (event) => {
    uploads.add([...event.target.files]);
    event.target.value = '';
  };
  if (recording) return html`<footer class="composer"><${Recorder} onDone=${(blob, duration) => (setRecording(false), blob && uploads.voice(blob, duration))} /></footer>`;
  return html`<footer class="composer">
    ${uploads.list.map(({ id, name, share, stop }) => html`<div class="upload" key=${id}>
      <span>${phrase('uploading', { name })}</span><progress value=${share} aria-label=${name}></progress><${IconButton} icon="close" label=${t('cancel')} onClick=${stop} />
    </div>`)}
    ${answering.kind && html`<div class="answering">
      <span><b>${answering.kind === 'edit' ? t('editing') : phrase('replyTo', { name: client.directory.name(answering.message.sender) })}</b><small dir="auto">${body(client, answering.message)}</small></span>
      <${IconButton} icon="close" label=${t('cancel')} onClick=${done} />
    </div>`}
    ${group && html`<${Mentions} gid=${peer} text=${text} onPick=${(name, uid, rest) => (names.current.set(name, uid), change(rest), field.current.focus())} />`}
    ${emoji && html`<${EmojiPicker} onPick=${insert} onClose=${() => setEmoji(false)} />`}
    <div class="composer-row">
      <${IconButton} icon="smile" label=${t('emoji')} aria-expanded=${emoji} onClick=${() => setEmoji(!emoji)} />
      <label class="icon-button" title=${t('camera')}><${Icon} name="picture" /><input type="file" class="off-screen" accept="image/*,video/mp4,video/webm" multiple aria-label=${t('camera')} onChange=${picked} /></label>
      <label class="icon-button" title=${t('attach')}><${Icon} name="clip" /><input type="file" class="off-screen" multiple aria-label=${t('attach')} onChange=${picked} /></label>
      <textarea ref=${field} rows="1" dir="auto" value=${text} placeholder=${t('typeMessage')} aria-label=${t('typeMessage')} maxlength="10000"
        onInput=${(event) => change(event.target.value)} onKeyDown=${keys} onPaste=${pasted}></textarea>
      ${text.trim() ? html`<${IconButton} icon="send" class="send" label=${t('send')} onClick=${submit} />` : html`<${IconButton} icon="mic" label=${t('voice')} onClick=${() => setRecording(true)} />`}
    </div>
  </footer>`;
}

