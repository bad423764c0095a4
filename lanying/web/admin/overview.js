// Live counts and plots.

import { html, useEffect, useState } from '../app/view.js';
import { size } from '../app/time.js';
import { Plot } from './plot.js';
import { w } from './words.js';

const EVERY_MS = 2_000;
const KEPT = 150;

/** How many durations a histogram has. */
const count = (row, name) => row.series?.find((one) => one.name === name && one.labels.le === '+Inf')?.value ?? 0;

/** Figures of one moment, from two answers. */
function moment(now, before) {
  const seconds = before ? Math.max(0.001, (now.now - before.now) / 1000) : 0;
  const rows = now.processes.map((row) => {
    const old = before?.processes.find(({ name, pid }) => name === row.name && pid === row.pid);
    const grown = (key) => (old ? Math.max(0, (row.figures?.[key] ?? 0) - (old.figures?.[key] ?? 0)) : 0);
    const rate = (key) => (seconds ? grown(key) / seconds : 0);
    const flushes = old ? Math.max(0, count(row, 'commit_seconds') - count(old, 'commit_seconds')) : 0;
    return {
      name: row.name, shard: row.name.startsWith('shard-'), sessions: row.figures?.sessions ?? 0, rate: rate('messages'), commits: rate('commits'), latency: flushes ? (1000 * grown('commit_seconds')) / flushes : 0,
      memory: row.memory_bytes, cpu: seconds && old ? (100 * (row.cpu_s - old.cpu_s)) / seconds : 0,
    };
  });
  return { rows };
}

export function Overview({ rest }) {
  const [status, setStatus] = useState(null);
  const [past, setPast] = useState([]);
  const [lost, setLost] = useState(false);
  useEffect(() => {
    let timer;
    let before;
    let stopped = false;
    const ask = async () => {
      try {
        const now = await rest.get('/admin/api/status');
        if (stopped) return;
        if (before) setPast((list) => [...list.slice(1 - KEPT), moment(now, before)]);
        before = now;
        setStatus(now);
        setLost(false);
      } catch {
        setLost(true);
      }
      if (!stopped) timer = setTimeout(ask, EVERY_MS);
    };
    ask();
    return () => {
      stopped = true;
      clearTimeout(timer);
    };
  }, []);
  if (!status) return html`<p class="muted" role="status">${lost ? w('lost') : '…'}</p>`;
  const now = past.at(-1) ?? moment(status);
  const shards = now.rows.filter(({ shard }) => shard).map(({ name }) => name);
  const of = (name, key) => past.map(({ rows }) => rows.find((row) => row.name === name)?.[key] ?? 0);
  const perShard = (key) => shards.map((name) => ({ name, values: of(name, key) }));
  const total = (key) => now.rows.reduce((sum, row) => sum + row[key], 0);
  const slowest = Math.max(0, ...now.rows.map(({ latency }) => latency));
  const round = (value) => (value < 10 ? value.toFixed(1) : Math.round(value).toLocaleString());
  return html`${lost && html`<p class="banner" role="status">${w('lost')}</p>`}
    <section class="plots">
      <${Plot} title=${w('sessions')} value=${total('sessions').toLocaleString()} lines=${perShard('sessions')} />
      <${Plot} title=${w('rate')} value=${round(total('rate'))} lines=${perShard('rate')} />
      <${Plot} title=${w('commits')} value=${round(total('commits'))} lines=${perShard('commits')} />
      <${Plot} title=${w('latency')} value=${`${slowest.toFixed(1)} ms`} lines=${perShard('latency')} />
      <${Plot} title=${w('memory')} value=${size(total('memory'))} lines=${perShard('memory')} />
      <${Plot} title=${w('cpu')} value=${`${Math.round(total('cpu'))} %`} lines=${perShard('cpu')} />
    </section>
    <h2>${w('processes')}</h2>
    <div class="table"><table>
      <thead><tr>${['process', 'state', 'sessions', 'messages', 'memory', 'cpu', 'restarts'].map((key) => html`<th scope="col">${w(key)}</th>`)}</tr></thead>
      <tbody>${status.processes.map(({ name, state, figures = {}, memory_bytes: memory, restarts }) => html`<tr key=${name}>
        <th scope="row">${name}</th><td><span class=${`state ${state}`}>${state}</span></td><td>${figures.sessions ?? figures.connections ?? ''}</td><td>${figures.messages ?? figures.requests ?? ''}</td>
        <td>${size(memory)}</td><td>${Math.round(now.rows.find((row) => row.name === name)?.cpu ?? 0)} %</td><td>${restarts}</td></tr>`)}</tbody>
    </table></div>`;
}
