// Announcements and shared files of a group.

import { html, useState } from './view.js';
import { count, line, lines } from '../sdk/plain.js';
import { useClient, useFetched } from './hooks.js';
import { t } from './i18n.js';
import { IconButton } from './icons.js';
import { rich } from './text.js';
import { size } from './time.js';
import { attempt } from './toast.js';

const SHARED_FILE = 200;

export function GroupBoard({ gid, leading }) {
  const { rest } = useClient();
  const [list, again] = useFetched(() => rest.get('/group/announcement/list', { group_id: gid }), [gid], []);
  const [writing, setWriting] = useState(false);
  const publish = async (event) => {
    event.preventDefault();
    const { title, content } = event.target.elements;
    if (await attempt(() => rest.post('/group/announcement/edit', { group_id: gid, title: title.value, content: content.value }))) setWriting(false);
    again();
  };
  const remove = (id) => attempt(() => rest.post('/group/announcement/delete', { group_id: gid, announcement_id: id })).then(again);
  return html`<section><h3>${t('announcements')}</h3>
    ${[...list].reverse().slice(0, 10).map(({ id, title, content }) => html`<article class="announcement" key=${id}>
      <b dir="auto">${line(title)}</b><p dir="auto">${rich(lines(content))}</p>${leading && html`<${IconButton} icon="close" label=${`${t('remove')}: ${line(title)}`} onClick=${() => remove(id)} />`}
    </article>`)}
    ${leading && (writing ? html`<form onSubmit=${publish}><label>${t('title')}<input name="title" required maxlength="100" /></label><label>${t('content')}<textarea name="content" rows="3" required></textarea></label>
        <div class="buttons"><button class="button small">${t('save')}</button><button type="button" class="button plain small" onClick=${() => setWriting(false)}>${t('cancel')}</button></div></form>`
      : html`<button class="button plain small" onClick=${() => setWriting(true)}>${t('announce')}</button>`)}
  </section>`;
}

export function GroupFiles({ gid }) {
  const client = useClient();
  const [list, again] = useFetched(() => client.rest.get('/group/file/list', { group_id: gid }), [gid], []);
  const share = (event) =>
    attempt(async () => {
      const [file] = event.target.files;
      const url = await client.upload(gid, true, file, { name: file.name, fileType: SHARED_FILE });
      await client.rest.post('/group/file/upload', { group_id: gid, name: file.name, size: file.size, type: SHARED_FILE, url });
    }).then(again);
  return html`<section><h3>${t('files')}</h3>
    ${list.length ? html`<ul class="file-list">${list.slice(0, 50).map(({ file_id: id, name, size: bytes, url }) => html`<li key=${id}><a href=${client.fileUrl(url) || undefined} download=${line(name)} target="_blank" rel="noopener noreferrer" dir="auto">${line(name) || t('file')}</a> <small class="muted">${size(count(bytes))}</small></li>`)}</ul>` : html`<p class="muted">${t('noFiles')}</p>`}
    <label class="button plain small">${t('addFile')}<input type="file" class="off-screen" aria-label=${t('addFile')} onChange=${share} /></label>
  </section>`;
}
