// A message in one line.

import { CTYPE } from '../sdk/outgoing.js';
import { line, lines } from '../sdk/plain.js';
import { t } from './i18n.js';

const KINDS = {
  [CTYPE.IMAGE]: 'picture_', [CTYPE.AUDIO]: 'voice_', [CTYPE.VIDEO]: 'video_', [CTYPE.FILE]: 'file_',
  [CTYPE.LOCATION]: 'place_', [CTYPE.FORWARD]: 'forward_', [CTYPE.RTC]: 'call_',
};

export function body(client, message) {
  if (message.recalled) {
    return message.recalled === client.uid ? t('recalledYou') : t('recalledOther', { name: client.directory.name(message.recalled) });
  }
  const kind = KINDS[message.ctype];
  return kind ? `${t(kind)} ${line(message.attachment?.dName)}`.trim() : lines(message.text);
}

/** Who says it, '' where that is plain, and what. @returns {[string, string]} */
export function previewed(client, message) {
  if (!message) return ['', ''];
  const named = message.group && !message.recalled;
  return [named ? (message.sender === client.uid ? t('you') : client.directory.name(message.sender)) : '', body(client, message)];
}

export const preview = (client, message) => previewed(client, message).filter(Boolean).join(': ');
