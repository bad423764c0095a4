// Files on their way into a conversation.

import { useState } from './view.js';
import { CTYPE } from '../sdk/outgoing.js';
import { explain, t } from './i18n.js';
import { toast } from './toast.js';

const PICTURES = ['image/png', 'image/jpeg', 'image/gif', 'image/webp'];

/** @returns {[number, number]} content type and file type of the ticket */
function kindOf({ type }) {
  if (PICTURES.includes(type)) return [CTYPE.IMAGE, 102];
  if (type === 'video/mp4' || type === 'video/webm') return [CTYPE.VIDEO, 103];
  return [CTYPE.FILE, 100];
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

export function useUploads(client, peer, group) {
  const [list, setList] = useState([]);
  const change = (id, fields) => setList((before) => before.map((one) => (one.id === id ? { ...one, ...fields } : one)));
  const drop = (id) => setList((before) => before.filter((one) => one.id !== id));
  const upload = async (blob, name, [ctype, fileType], more) => {
    const id = Math.random();
    const control = new AbortController();
    setList((before) => [...before, { id, name, share: 0, stop: () => control.abort() }]);
    try {
      const url = await client.upload(peer, group, blob, { name, fileType, signal: control.signal, onProgress: (share) => change(id, { share }) });
      client.conversations.send(peer, group, { ctype, attachment: { url, dName: name, fLen: blob.size, ...more } });
    } catch (error) {
      if (!control.signal.aborted) toast(t('uploadFailed', { name, why: explain(error) }), 'error');
    }
    drop(id);
  };
  return {
    list,
    /** @param {File[]} files */
    add: async (files) => {
      for (const file of files) {
        const kind = kindOf(file);
        upload(file, file.name || 'picture.png', kind, kind[0] === CTYPE.IMAGE ? await measured(file) : {});
      }
    },
    voice: (blob, duration) => upload(blob, `voice.${blob.type.includes('mp4') ? 'm4a' : 'webm'}`, [CTYPE.AUDIO, 104], { duration }),
  };
}
