// A code that a signed-in device reads to sign this one in.

import { html, useEffect, useState } from './view.js';
import { useClient } from './hooks.js';
import { t } from './i18n.js';

const POLL_MS = 1_000;

export function QrLogin({ onGrant, onBack }) {
  const client = useClient();
  const [code, setCode] = useState(null);
  const [round, setRound] = useState(0);
  const [state, setState] = useState('');
  useEffect(() => {
    let timer;
    let stopped = false;
    const poll = async (text, ends) => {
      if (stopped) return;
      if (Date.now() > ends) return setState('qrExpired');
      try {
        const { username, password } = await client.rest.get('/app/qr_login', { qr_code: text });
        if (username && !stopped) return onGrant(username, password);
      } catch {
        // the next question comes all the same
      }
      timer = setTimeout(poll, POLL_MS, text, ends);
    };
    client.rest.get('/app/qr_code').then(
      ({ qr_code: text, expired }) => {
        setState('');
        setCode(text);
        poll(text, expired > Date.now() ? expired : Date.now() + 120_000);
      },
      (error) => setState(error.code === 0 ? 'error_0' : 'qrMissing'),
    );
    return () => {
      stopped = true;
      clearTimeout(timer);
    };
  }, [round]);
  return html`<div class="qr">
    ${code && !state && html`<${QrCode} text=${code} /><p>${t('qrLoginText')}</p><code class="qr-text">${code}</code>`}
    ${state && html`<p role="status">${t(state)}</p>`}
    ${state === 'qrExpired' && html`<button class="button" onClick=${() => setRound(round + 1)}>${t('qrAgain')}</button>`}
    <button class="link" onClick=${onBack}>${t('backToPassword')}</button>
  </div>`;
}

/** Text as a QR code. The library is loaded when one is shown. */
export function QrCode({ text }) {
  const [path, setPath] = useState({ d: '', size: 1 });
  useEffect(() => {
    import('../vendor/qrcode.js').then(({ default: qrcode, qrcode: named }) => {
      const code = (qrcode ?? named)(0, 'M');
      code.addData(text);
      code.make();
      const size = code.getModuleCount();
      let d = '';
      for (let y = 0; y < size; y += 1) for (let x = 0; x < size; x += 1) if (code.isDark(y, x)) d += `M${x} ${y}h1v1h-1z`;
      setPath({ d, size });
    });
  }, [text]);
  return html`<svg class="qr-code" viewBox=${`-2 -2 ${path.size + 4} ${path.size + 4}`} role="img" aria-label=${t('code')}><path d=${path.d} /></svg>`;
}
