// Files on their way into a conversation: what kind they are, and how large a picture is.

import { useEffect, useState } from './view.js';
import { CTYPE } from '../sdk/outgoing.js';

const PICTURES = ['image/png', 'image/jpeg', 'image/gif', 'image/webp'];

/** Content type of the message, and file type of the ticket. */
function kindOf({ type }) {
  if (PICTURES.includes(type)) return { ctype: CTYPE.IMAGE, fileType: 102 };
  if (type === 'video/mp4' || type === 'video/webm') return { ctype: CTYPE.VIDEO, fileType: 103 };
  return { ctype: CTYPE.FILE, fileType: 100 };
}

/** Width and height of a picture, or nothing. */
async function measured(blob) {
  try {
    const { width, height } = await createImageBitmap(blob);
    return { width, height };
  } catch {
    return {};
  }
}

/** Send files in the order in which they were chosen. @param {File[]} files */
export function sendFiles(client, { peer, group }, files) {
  for (const file of files) {
    const kind = kindOf(file);
    const details = kind.ctype === CTYPE.IMAGE ? measured(file) : {};
    client.conversations.sendFile(peer, group, { blob: file, name: file.name || 'picture.png', ...kind, details });
  }
}

export function sendVoice(client, { peer, group }, blob, duration) {
  const name = `voice.${blob.type.includes('mp4') ? 'm4a' : 'webm'}`;
  client.conversations.sendFile(peer, group, { blob, name, ctype: CTYPE.AUDIO, fileType: 104, details: { duration } });
}

/** An address of a file that is here, as long as it is shown. @param {Blob | undefined} blob */
export function useLocalUrl(blob) {
  const [url, setUrl] = useState('');
  useEffect(() => {
    if (!blob) return undefined;
    const made = URL.createObjectURL(blob);
    setUrl(made);
    return () => URL.revokeObjectURL(made);
  }, [blob]);
  return blob ? url : '';
}
