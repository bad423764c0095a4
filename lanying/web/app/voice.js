// Records a voice message. Pages without https get an explanation instead of the microphone.

import { html, useEffect, useRef, useState } from './view.js';
import { t } from './i18n.js';
import { IconButton } from './icons.js';
import { seconds } from './time.js';

const MAX_S = 120;
const TYPES = ['audio/webm;codecs=opus', 'audio/mp4', 'audio/ogg'];

/** @param {{onDone: (blob?: Blob, duration?: number) => void}} props */
export function Recorder({ onDone }) {
  const recorder = useRef(null);
  const [length, setLength] = useState(0);
  const [problem, setProblem] = useState('');
  useEffect(() => {
    let stream;
    let timer;
    let gone = false;
    const started = Date.now();
    const record = async () => {
      if (!navigator.mediaDevices?.getUserMedia || !globalThis.MediaRecorder) return setProblem(t('micSecure'));
      try {
        stream = await navigator.mediaDevices.getUserMedia({ audio: true });
      } catch (error) {
        return setProblem(t('micDenied', { why: error.message }));
      }
      if (gone) return stream.getTracks().forEach((track) => track.stop());
      const type = TYPES.find((one) => MediaRecorder.isTypeSupported(one));
      const pieces = [];
      const tape = (recorder.current = new MediaRecorder(stream, { mimeType: type, audioBitsPerSecond: 24_000 }));
      tape.ondataavailable = ({ data }) => pieces.push(data);
      tape.onstop = () => {
        stream.getTracks().forEach((track) => track.stop());
        const duration = Math.round((Date.now() - started) / 1000);
        if (recorder.current?.keep) onDone(new Blob(pieces, { type: type?.split(';')[0] }), Math.max(1, duration));
      };
      tape.start();
      timer = setInterval(() => {
        const now = (Date.now() - started) / 1000;
        setLength(now);
        if (now >= MAX_S) finish();
      }, 250);
    };
    record();
    return () => {
      gone = true;
      clearInterval(timer);
      if (recorder.current?.state === 'recording') recorder.current.stop();
    };
  }, []);
  const finish = () => {
    recorder.current.keep = true;
    recorder.current.stop();
  };
  if (problem) return html`<div class="recorder"><p role="status">${problem}</p><button class="button plain" onClick=${() => onDone()}>${t('close')}</button></div>`;
  return html`<div class="recorder">
    <${IconButton} icon="close" label=${t('cancel')} onClick=${() => onDone()} />
    <span class="recording" role="timer">${seconds(length)}</span>
    <${IconButton} icon="send" class="send" label=${t('stopVoice')} onClick=${finish} />
  </div>`;
}
