// Backups into the directory the server was told: start one, see how far it is, and those before.

import { html, useEffect, useState } from '../app/view.js';
import { clock, day } from '../app/time.js';
import { attempt } from '../app/toast.js';
import { w } from './words.js';

const PATH = '/admin/api/backups';
const RUNNING_MS = 1_000;
const IDLE_MS = 5_000;
const moment = (time) => `${day(time)} ${clock(time)}`;
const running = ({ state }) => state === 'running';

export function Backups({ rest, data }) {
  const [state, setState] = useState(null);
  const [round, setRound] = useState(0);
  useEffect(() => {
    let timer;
    let stopped = false;
    const ask = async () => {
      let found;
      try {
        found = await rest.get(PATH);
      } catch (error) {
        found = { error: error.message };
      }
      if (stopped) return;
      setState(found);
      timer = setTimeout(ask, found.jobs?.some(running) ? RUNNING_MS : IDLE_MS);
    };
    ask();
    return () => {
      stopped = true;
      clearTimeout(timer);
    };
  }, [round]);
  if (!state) return null;
  if (state.error) return html`<p class="muted">${state.error}</p>`;
  if (!state.path) return html`<${Off} data=${data} />`;
  const jobs = state.jobs.filter(({ what }) => what.startsWith('backup'));
  const start = () => attempt(() => rest.post(PATH)).then(() => setRound(round + 1));
  return html`<p>${w('backupInto')} <code>${state.path}</code>. ${state.made_ms ? `${w('backupMade')}: ${moment(state.made_ms)}` : w('backupNever')}</p>
    <p><button class="button" disabled=${jobs.some(running)} onClick=${start}>${w('backupNow')}</button></p>
    ${jobs.length > 0 && html`<div class="table"><table class="backups">
      <thead><tr>${['started', 'state', 'progress'].map((key) => html`<th scope="col">${w(key)}</th>`)}</tr></thead>
      <tbody>${jobs.map((job) => html`<tr key=${job.job}><th scope="row">${moment(job.started_ms)}</th>
        <td><span class=${`state ${job.state === 'done' ? 'ready' : ''}`}>${w(job.state)}</span></td>
        <td>${running(job) && html`<progress max="100" value=${job.percent ?? undefined} aria-label=${w('progress')} /> `}${job.state === 'done' ? '' : job.now}</td></tr>`)}</tbody>
    </table></div>`}`;
}

/** How to get the button. */
function Off({ data }) {
  return html`<p>${w('backupOff')}</p>
    <pre tabindex="0">[storage]
backup_path = "/media/backup/lanying"</pre>
    <p>${w('backupText')}</p>
    <pre tabindex="0">lanying-cluster backup create --data ${data} /media/backup/lanying
lanying-cluster backup verify /media/backup/lanying</pre>`;
}
