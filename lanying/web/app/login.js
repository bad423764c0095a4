// Sign in, create an account, or let another device sign this one in.

import { html, useState } from './view.js';
import { useClient } from './hooks.js';
import { explain, language, setLanguage, t } from './i18n.js';
import { QrLogin } from './qr_login.js';

const WRONG_LOGIN = [10000, 10001, 11001];

export function Login({ onIn }) {
  const client = useClient();
  const [mode, setMode] = useState('signIn');
  const [error, setError] = useState('');
  const [busy, setBusy] = useState(false);
  const enter = async (name, password) => {
    await client.login(name, password);
    onIn();
  };
  const submit = async (event) => {
    event.preventDefault();
    const { username, password } = event.target.elements;
    setBusy(true);
    setError('');
    try {
      if (mode === 'register') await client.register(username.value.trim(), password.value);
      await enter(username.value.trim(), password.value);
    } catch (problem) {
      const wrong = mode === 'signIn' && WRONG_LOGIN.includes(problem.code);
      setError(wrong ? t('error_10001') : explain(problem));
    }
    setBusy(false);
  };
  const registering = mode === 'register';
  return html`<main class="login">
    <div class="login-card">
      <svg class="logo" viewBox="0 0 64 64" aria-hidden="true">
        <rect width="64" height="64" rx="16" />
        <path d="M16 19a5 5 0 0 1 5-5h22a5 5 0 0 1 5 5v17a5 5 0 0 1-5 5H30L19 50v-9a3 3 0 0 1-3-3z" />
      </svg>
      <h1>${t('welcome')}</h1>
      <p class="muted">${t('welcomeText')}</p>
      ${mode === 'qr'
        ? html`<${QrLogin} onGrant=${enter} onBack=${() => setMode('signIn')} />`
        : html`<form onSubmit=${submit}>
            <label>${t('username')}
              <input name="username" required autocomplete="username" autocapitalize="none" spellcheck="false" maxlength="64"
                aria-describedby=${registering ? 'name-hint' : undefined} autofocus />
              ${registering && html`<small id="name-hint" class="muted">${t('usernameHint')}</small>`}
            </label>
            <label>${t('password')}
              <input name="password" type="password" required maxlength="128"
                autocomplete=${registering ? 'new-password' : 'current-password'} />
              ${registering && html`<small class="muted">${t('passwordHint')}</small>`}
            </label>
            <p class="form-error" role="alert">${error}</p>
            <button class="button wide" disabled=${busy}>${t(mode)}</button>
          </form>
          <p class="switch">
            ${registering ? t('haveAccount') : t('newHere')}
            <button class="link" onClick=${() => (setError(''), setMode(registering ? 'signIn' : 'register'))}>
              ${registering ? t('signIn') : t('register')}
            </button>
          </p>
          ${!registering && html`<button class="link quiet" onClick=${() => setMode('qr')}>${t('qrLogin')}</button>`}`}
    </div>
    <button class="link quiet language" lang=${language() === 'zh' ? 'en' : 'zh'}
      onClick=${() => setLanguage(language() === 'zh' ? 'en' : 'zh')}>${language() === 'zh' ? 'English' : '中文'}</button>
  </main>`;
}
