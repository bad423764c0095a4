// What can be done with a message.

import { CTYPE } from '../sdk/outgoing.js';
import { openDialog } from './dialog.js';
import { Forward } from './forward.js';
import { t } from './i18n.js';
import { attempt, toast } from './toast.js';

export function messageActions(client, message, onAnswer) {
  const own = message.sender === client.uid;
  const text = message.ctype === CTYPE.TEXT;
  const mayRecall = own || (message.group && client.directory.group(message.peer)?.owner_id === client.uid);
  return [
    { label: t('reply'), action: () => onAnswer('reply', message) },
    text && { label: t('copy'), action: () => copy(message.text) },
    { label: t('forward'), action: () => openDialog(Forward, { message }) },
    own && text && { label: t('edit'), action: () => onAnswer('edit', message) },
    mayRecall && { label: t('recall'), action: () => attempt(() => client.conversations.recall(message)), danger: true },
    { label: t('remove'), action: () => attempt(() => client.conversations.remove(message)), danger: true },
  ];
}

/** The clipboard of pages without https is reached by an old way. */
async function copy(text) {
  if (navigator.clipboard) await navigator.clipboard.writeText(text);
  else {
    const field = document.body.appendChild(Object.assign(document.createElement('textarea'), { value: text, className: 'off-screen' }));
    field.select();
    document.execCommand('copy');
    field.remove();
  }
  toast(t('copied'));
}
