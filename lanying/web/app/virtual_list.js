// A long list of equal rows: only those in sight are in the page.

import { Guard } from './guard.js';
import { html, useEffect, useRef, useState } from './view.js';

const SPARE = 6;

/** @param {{items: any[], rowHeight: number, row: (item: any) => any, label: string, empty?: any}} props */
export function VirtualList({ items, rowHeight, row, label, empty }) {
  const box = useRef(null);
  const [view, setView] = useState({ top: 0, height: 800 });
  useEffect(() => {
    const element = box.current;
    const measure = () => setView({ top: element.scrollTop, height: element.clientHeight });
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    element.addEventListener('scroll', measure, { passive: true });
    return () => {
      observer.disconnect();
      element.removeEventListener('scroll', measure);
    };
  }, []);
  const first = Math.max(0, Math.floor(view.top / rowHeight) - SPARE);
  const last = Math.min(items.length, Math.ceil((view.top + view.height) / rowHeight) + SPARE);
  return html`<div class="virtual" ref=${box}>
    ${items.length ? html`<ul style=${{ height: `${items.length * rowHeight}px` }} aria-label=${label}>
      ${items.slice(first, last).map((item, index) => html`<li key=${item.key} style=${{ transform: `translateY(${(first + index) * rowHeight}px)`, height: `${rowHeight}px` }}><${Guard} of=${item} show=${() => row(item)} /></li>`)}
    </ul>` : empty}
  </div>`;
}
