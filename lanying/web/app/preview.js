// A message in one line.

import { CTYPE } from '../sdk/outgoing.js';
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
  return kind ? `${t(kind)} ${message.attachment.dName ?? ''}`.trim() : message.text;
}

export function preview(client, message) {
  if (!message) return '';
  if (message.recalled) return body(client, message);
  const name = message.sender === client.uid ? t('you') : client.directory.name(message.sender);
  return message.group && name ? `${name}: ${body(client, message)}` : body(client, message);
}
