// The admin page: a token, then what the console offers to a person who would rather look.

import { html, render, useState } from '../app/view.js';
import { BASE } from '../app/base.js';
import { Kept } from '../sdk/kept.js';
import { Rest } from '../sdk/rest.js';
import { language } from '../app/i18n.js';
import { Guard } from '../app/guard.js';
import { useRoute } from '../app/hooks.js';
import { Toasts, toast } from '../app/toast.js';
import { Groups } from './groups.js';
import { Overview } from './overview.js';
import { Server } from './server.js';
import { Users } from './users.js';
import { w } from './words.js';

const KEY = `lanying-admin-token${new URL(BASE).pathname.replace(/\/$/, '')}`;
const KEPT = new Kept('sessionStorage');
const TABS = [['overview', Overview], ['users', Users], ['groups', Groups], ['server', Server]];

document.documentElement.lang = language();

function newRest(token) {
  const appId = document.querySelector('meta[name=app-id]')?.getAttribute('content') || 'lanying';
  const rest = new Rest(BASE, appId);
  rest.token = token;
  return rest;
}

function Admin() {
  const [token, setToken] = useState(KEPT.getItem(KEY) ?? '');
  const [tab = 'overview'] = useRoute();
  const keep = (value) => {
    KEPT.setItem(KEY, value);
    setToken(value);
  };
  if (!token) return html`<${Enter} onToken=${keep} /><${Toasts} />`;
  const rest = newRest(token);
  rest.onExpired = () => keep('');
  const Tab = (TABS.find(([name]) => name === tab) ?? TABS[0])[1];
  return html`<header class="admin-head">
      <h1>lanying <small class="muted">${w('admin')}</small></h1>
      <nav>${TABS.map(([name]) => html`<a key=${name} href=${`#${name}`} aria-current=${name === tab ? 'page' : undefined}>${w(name)}</a>`)}</nav>
      <button class="button plain small" onClick=${() => keep('')}>${w('leave')}</button>
    </header>
    <main class="admin-main"><${Guard} key=${tab} of=${tab} show=${() => html`<${Tab} rest=${rest} />`} /></main>
    <${Toasts} />`;
}

function Enter({ onToken }) {
  const submit = async (event) => {
    event.preventDefault();
    const token = event.target.elements.token.value.trim();
    try {
      await newRest(token).get('/admin/api/status');
      onToken(token);
    } catch (error) {
      toast(error.code === 402 ? w('tokenWrong') : error.message, 'error');
    }
  };
  return html`<main class="login"><div class="login-card">
    <h1>${w('admin')}</h1>
    <p class="muted">${w('tokenText')}</p>
    <form onSubmit=${submit}><label>${w('token')}<input name="token" type="password" required autofocus autocomplete="off" /></label><button class="button wide">${w('enter')}</button></form>
  </div></main>`;
}

render(html`<${Admin} />`, /** @type {HTMLElement} */ (document.getElementById('app')));
