// Where messages are written.

import { html, useEffect, useRef, useState } from './view.js';
import { EmojiPicker } from './emoji.js';
import { composing, useClient } from './hooks.js';
import { t } from './i18n.js';
import { Icon, IconButton } from './icons.js';
import { Mentions, mentioned } from './mentions.js';
import { body } from './preview.js';
import { phrase } from './text.js';
import { size } from './time.js';
import { attempt, toast } from './toast.js';
import { sendFiles, sendVoice } from './uploads.js';
import { Recorder } from './voice.js';

const TYPING_EVERY_MS = 4_000;
const QUOTE_CHARS = 120;
/** The server takes 64 KiB with what goes along: quotes, mentions. */
const MOST_BYTES = 60_000;

export function Composer({ conversation, answering, onAnswered, onEditLast }) {
  const client = useClient();
  const { peer, group } = conversation;
  const field = useRef(null);
  const typedAt = useRef(0);
  const names = useRef(new Map(conversation.draft?.names));
  const [text, setText] = useState(conversation.draft?.text ?? '');
  const [emoji, setEmoji] = useState(false);
  const [recording, setRecording] = useState(false);
  const stopTyping = () => {
    if (typedAt.current) client.typing(peer, false);
    typedAt.current = 0;
  };
  const change = (value) => {
    setText(value);
    if (answering.kind !== 'edit') client.conversations.keepDraft(peer, group, value ? { text: value, names: [...names.current] } : undefined);
    const now = Date.now();
    if (!value) stopTyping();
    else if (!group && peer && now - typedAt.current > TYPING_EVERY_MS) {
      typedAt.current = now;
      client.typing(peer, true);
    }
  };
  useEffect(() => {
    const keep = () => client.conversations.flush();
    addEventListener('pagehide', keep);
    return () => {
      removeEventListener('pagehide', keep);
      stopTyping();
    };
  }, []);
  // What is answered may be changed or taken back meanwhile.
  const answered = answering.message && (conversation.messages.find(({ mid }) => mid === answering.message.mid) ?? answering.message);
  useEffect(() => {
    if (answered?.recalled) cancel();
  }, [answered?.recalled]);
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
  /** The text is sent or given up; one that was begun before an edit comes back. */
  const done = () => {
    if (answering.kind === 'edit') stopTyping();
    else client.conversations.keepDraft(peer, group, undefined);
    setText(answering.kind === 'edit' ? conversation.draft?.text ?? '' : '');
    names.current = new Map(answering.kind === 'edit' ? conversation.draft?.names : []);
    typedAt.current = 0; // a message says that its author types no more
    onAnswered();
  };
  const cancel = () => (answering.kind === 'edit' ? done() : onAnswered());
  const submit = () => {
    const value = text.trim();
    if (!value) return;
    const bytes = new TextEncoder().encode(value).length;
    if (bytes > MOST_BYTES) return toast(t('tooLong', { size: size(bytes), most: size(MOST_BYTES) }), 'error');
    const { kind } = answering;
    if (kind === 'edit') attempt(() => client.conversations.edit(answered, value));
    else {
      const ext = kind === 'reply' ? { reply: { mid: answered.mid, sender: answered.sender, name: client.directory.name(answered.sender), text: body(client, answered).slice(0, QUOTE_CHARS) } } : {};
      client.conversations.send(peer, group, { text: value, ext, config: group ? mentioned(value, names.current) : {} });
    }
    done();
  };
  const keys = (event) => {
    if (composing(event)) return;
    if (event.key === 'Enter' && !event.shiftKey) {
      event.preventDefault();
      submit();
    } else if (event.key === 'Escape' && answering.kind) {
      event.preventDefault();
      cancel();
    } else if (event.key === 'ArrowUp' && !text) {
      const last = conversation.messages.findLast((one) => one.sender === client.uid && one.mid && one.ctype === 0 && !one.recalled);
      if (last) onEditLast(last);
    }
  };
  const pasted = (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length) return;
    event.preventDefault();
    sendFiles(client, conversation, files);
  };
  const insert = (piece) => {
    const { selectionStart: from, selectionEnd: to } = field.current;
    change(text.slice(0, from) + piece + text.slice(to));
    field.current.focus();
  };
  const picked = (event) => {
    sendFiles(client, conversation, [...event.target.files]);
    event.target.value = '';
  };
  if (recording) return html`<footer class="composer"><${Recorder} onDone=${(blob, duration) => (setRecording(false), blob && sendVoice(client, conversation, blob, duration))} /></footer>`;
  return html`<footer class="composer">
    ${answering.kind && html`<div class="answering">
      <span><b>${answering.kind === 'edit' ? t('editing') : phrase('replyTo', { name: client.directory.name(answered.sender) })}</b><small dir="auto">${body(client, answered)}</small></span>
      <${IconButton} icon="close" label=${t('cancel')} onClick=${cancel} />
    </div>`}
    ${group && html`<${Mentions} gid=${peer} text=${text} onPick=${(name, uid, rest) => (names.current.set(name, uid), change(rest), field.current.focus())} />`}
    ${emoji && html`<${EmojiPicker} onPick=${insert} onClose=${() => setEmoji(false)} />`}
    <div class="composer-row">
      <${IconButton} icon="smile" label=${t('emoji')} aria-expanded=${emoji} onClick=${() => setEmoji(!emoji)} />
      <label class="icon-button" title=${t('camera')}><${Icon} name="picture" /><input type="file" class="off-screen" accept="image/*,video/mp4,video/webm" multiple aria-label=${t('camera')} onChange=${picked} /></label>
      <label class="icon-button" title=${t('attach')}><${Icon} name="clip" /><input type="file" class="off-screen" multiple aria-label=${t('attach')} onChange=${picked} /></label>
      <textarea ref=${field} rows="1" dir="auto" value=${text} placeholder=${t('typeMessage')} aria-label=${t('typeMessage')}
        onInput=${(event) => change(event.target.value)} onKeyDown=${keys} onPaste=${pasted}></textarea>
      ${text.trim() ? html`<${IconButton} icon="send" class="send" label=${t('send')} onClick=${submit} />` : html`<${IconButton} icon="mic" label=${t('voice')} onClick=${() => setRecording(true)} />`}
    </div>
  </footer>`;
}

