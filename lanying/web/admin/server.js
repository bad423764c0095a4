// The server itself: where it is, which apps it has, how it is backed up.

import { html, useEffect, useState } from '../app/view.js';
import { Backups } from './backups.js';
import { w } from './words.js';

export function Server({ rest }) {
  const [status, setStatus] = useState(null);
  useEffect(() => {
    rest.get('/admin/api/status').then(setStatus, () => {});
  }, []);
  if (!status) return null;
  const facts = [['version', status.version], ['address', status.url], ['shards', status.shards], ['uptime', `${Math.round(status.uptime_s / 60)} min`], ['durability', status.durability], ['data', status.data], ['metrics', status.metrics_url]];
  return html`<h2>${w('server')}</h2>
    <dl class="facts">${facts.map(([key, value]) => html`<dt>${w(key)}</dt><dd>${value}</dd>`)}</dl>
    <h2>${w('apps')}</h2><ul class="apps">${status.apps.map((app) => html`<li><code>${app}</code></li>`)}</ul>
    <h2>${w('backups')}</h2><${Backups} rest=${rest} data=${status.data} />`;
}
