// A button with a list of actions, for mouse, touch and keys.

import { html, useEffect, useRef, useState } from './view.js';
import { IconButton } from './icons.js';

/** @param {{icon: string, label: string, items: {label: string, action: () => void, danger?: boolean}[], class?: string}} props */
export function Menu({ icon, label, items, class: extra = '' }) {
  const [open, setOpen] = useState(false);
  const box = useRef(null);
  useEffect(() => {
    if (!open) return undefined;
    box.current.querySelector('[role=menuitem]')?.focus();
    const away = (event) => box.current?.contains(event.target) || setOpen(false);
    document.addEventListener('pointerdown', away);
    return () => document.removeEventListener('pointerdown', away);
  }, [open]);
  const keys = (event) => {
    if (!open) return;
    const all = [...box.current.querySelectorAll('[role=menuitem]')];
    const at = all.indexOf(document.activeElement);
    if (event.key === 'Escape') {
      setOpen(false);
      box.current.querySelector('button').focus();
    } else if (event.key === 'ArrowDown') all[(at + 1) % all.length].focus();
    else if (event.key === 'ArrowUp') all[(at - 1 + all.length) % all.length].focus();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return html`<span class=${`menu ${extra} ${open ? 'open' : ''}`} ref=${box} onKeyDown=${keys}>
    <${IconButton} icon=${icon} label=${label} aria-haspopup="menu" aria-expanded=${open} onClick=${() => setOpen(!open)} />
    ${open && html`<span class="menu-list" role="menu">
      ${items.filter(Boolean).map(({ label: text, action, danger }) => html`<button type="button" role="menuitem" class=${danger ? 'danger' : ''} onClick=${() => (setOpen(false), action())}>${text}</button>`)}
    </span>`}
  </span>`;
}
