// A table that is asked for in pieces.

import { html, useEffect, useState } from '../app/view.js';
import { w } from './words.js';

const PAGE = 50;

/** @param {{rest: any, path: string, columns: string[], row: (item: any, again: () => void) => any, id: string}} props */
export function Paged({ rest, path, columns, row, id }) {
  const [list, setList] = useState([]);
  const [cursor, setCursor] = useState('');
  const [query, setQuery] = useState('');
  const load = async (from) => {
    const { data, cursor: next } = await rest.page(path, { page_size: PAGE, ...(from && { cursor: from }) });
    setList((before) => (from ? [...before, ...data] : data));
    setCursor(next ?? '');
  };
  useEffect(() => {
    load('').catch(() => {});
  }, []);
  const again = () => load('').catch(() => {});
  const shown = list.filter((item) => !query || `${item.username ?? item.name} ${item[id]}`.toLowerCase().includes(query.toLowerCase()));
  // Whoever is looked for may be on a later page: go on until there is a match or the end.
  useEffect(() => {
    if (query && !shown.length && cursor) load(cursor).catch(() => {});
  }, [query, list]);
  return html`<input type="search" value=${query} placeholder=${w('find')} aria-label=${w('find')} onInput=${(event) => setQuery(event.target.value)} />
    <div class="table"><table>
      <thead><tr>${columns.map((key) => html`<th scope="col">${w(key)}</th>`)}</tr></thead>
      <tbody>${shown.map((item) => html`<tr key=${item[id]}>${row(item, again)}</tr>`)}</tbody>
    </table></div>
    ${!shown.length && html`<p class="muted">${w('none')}</p>`}
    ${cursor && html`<button class="button plain" onClick=${() => load(cursor)}>${w('more')}</button>`}`;
}
