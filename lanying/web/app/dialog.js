// Modal windows: the browser's own dialog element keeps the focus inside and closes on Escape.

import { html, render, useEffect, useRef } from './view.js';
import { Guard } from './guard.js';
import { ClientContext } from './hooks.js';
import { t } from './i18n.js';
import { IconButton } from './icons.js';

let context = null;
/** Set once by the page: dialogs live outside its tree. */
export function setDialogClient(client) {
  context = client;
}

/** Show a component in a window; it gets `onClose`. */
export function openDialog(Content, props = {}) {
  const place = document.body.appendChild(document.createElement('div'));
  const before = /** @type {HTMLElement | null} */ (document.activeElement);
  const close = () => {
    render(null, place);
    place.remove();
    before?.focus?.();
  };
  render(html`<${ClientContext.Provider} value=${context}><${Guard} of=${props} show=${() => html`<${Content} ...${props} onClose=${close} />`} /><//>`, place);
}

export function Dialog({ title, onClose, children, wide = false }) {
  const element = useRef(null);
  useEffect(() => {
    element.current.showModal();
  }, []);
  const outside = (event) => event.target === element.current && onClose();
  return html`<dialog ref=${element} class=${wide ? 'wide' : ''} aria-label=${title} onClose=${onClose} onCancel=${onClose} onMouseDown=${outside}>
    <div class="dialog-body">
      <header><h2 dir="auto">${title}</h2><${IconButton} icon="close" label=${t('close')} onClick=${onClose} /></header>
      ${children}
    </div>
  </dialog>`;
}

function Confirm({ text, action, onClose }) {
  const yes = async () => {
    onClose();
    await action();
  };
  return html`<${Dialog} title=${text} onClose=${onClose}>
    <div class="buttons"><button class="button plain" onClick=${onClose}>${t('cancel')}</button><button class="button danger" onClick=${yes}>${t('confirm')}</button></div>
  <//>`;
}

export const ask = (text, action) => openDialog(Confirm, { text, action });
