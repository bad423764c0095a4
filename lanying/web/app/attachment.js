// Pictures, voice, video, files, places. Whatever they claim to be, they are shown by an element that can only be that.

import { html, useRef, useState } from './view.js';
import { CTYPE } from '../sdk/outgoing.js';
import { count, line, lines } from '../sdk/plain.js';
import { Dialog, openDialog } from './dialog.js';
import { useClient } from './hooks.js';
import { t } from './i18n.js';
import { Icon } from './icons.js';
import { seconds, size } from './time.js';
import { useLocalUrl } from './uploads.js';

const MAX_PX = 280;
const MIN_PX = 40;

export function Attachment({ message }) {
  const client = useClient();
  const { attachment: file, ctype } = message;
  const local = useLocalUrl(client.conversations.outbox.uploads.get(message.clientMid)?.blob);
  const url = local || client.fileUrl(file.url);
  if (ctype === CTYPE.IMAGE) return html`<${Picture} file=${file} url=${url} thumbnail=${local || client.fileUrl(file.url, { image_type: 2 })} />`;
  if (ctype === CTYPE.AUDIO) return html`<${Voice} url=${url} duration=${count(file.duration)} />`;
  if (ctype === CTYPE.VIDEO) return html`<video class="video" src=${url} controls preload="metadata"></video>`;
  if (ctype === CTYPE.FILE) return html`<${File} file=${file} url=${url} />`;
  if (ctype === CTYPE.LOCATION) return html`<span class="text" dir="auto">📍 ${line(file.addr) || [file.lat, file.lon].map(lines).join(', ')}</span>`;
  if (ctype === CTYPE.FORWARD) return html`<span class="text">${t('forward_')}</span>`;
  if (ctype === CTYPE.RTC) return html`<span class="text">${t('call_')}</span>`;
  return null;
}

function Picture({ file, url, thumbnail }) {
  const width = Math.max(MIN_PX, count(file.width) || MAX_PX);
  const height = Math.max(MIN_PX, count(file.height) || MAX_PX * 0.75);
  const scale = Math.min(1, MAX_PX / width, MAX_PX / height);
  const [broken, setBroken] = useState('');
  const source = thumbnail === broken ? url : thumbnail;
  const name = line(file.dName) || t('picture');
  return html`<button class="picture" aria-label=${`${t('openPicture')}: ${name}`} onClick=${() => openDialog(Lightbox, { url, name })}
    style=${{ width: `${Math.max(MIN_PX, Math.round(width * scale))}px`, aspectRatio: `${width} / ${height}` }}>
    <img src=${source} alt=${name} loading="lazy" onError=${() => setBroken(thumbnail)} />
  </button>`;
}

function Lightbox({ url, name, onClose }) {
  return html`<${Dialog} title=${name} wide=${true} onClose=${onClose}>
    <img class="lightbox" src=${url} alt=${name} />
    <p><a class="button plain" href=${url} download=${name} target="_blank" rel="noopener noreferrer">${t('download')}</a></p>
  <//>`;
}

function Voice({ url, duration }) {
  const audio = useRef(null);
  const [playing, setPlaying] = useState(false);
  const [at, setAt] = useState(0);
  const toggle = () => (playing ? audio.current.pause() : audio.current.play().catch(() => setPlaying(false)));
  return html`<span class="voice">
    <button class="voice-play" aria-label=${playing ? t('pause') : t('play')} onClick=${toggle}>${playing ? '❚❚' : '▶'}</button>
    <progress value=${at} max=${duration || 1} aria-label=${t('voice')}></progress>
    <small>${seconds(playing ? at : duration)}</small>
    <audio ref=${audio} src=${url} preload="none" onPlay=${() => setPlaying(true)} onPause=${() => setPlaying(false)}
      onEnded=${() => (setPlaying(false), setAt(0))} onTimeUpdate=${() => setAt(audio.current?.currentTime ?? 0)}></audio>
  </span>`;
}

function File({ file, url }) {
  const name = line(file.dName) || t('file');
  return html`<a class="file" href=${url || undefined} download=${name} target="_blank" rel="noopener noreferrer">
    <span class="file-icon"><${Icon} name="file" /></span>
    <span><b dir="auto">${name}</b><small>${size(count(file.fLen))}</small></span>
  </a>`;
}
