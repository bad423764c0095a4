// The messages of a conversation. A window of them is in the page; it moves with scrolling, and what is in sight stays in place.

import { html, useEffect, useLayoutEffect, useRef, useState } from './view.js';
import { sought } from '../sdk/plain.js';
import { Bubble } from './bubble.js';
import { Guard } from './guard.js';
import { useClient, useToday } from './hooks.js';
import { t } from './i18n.js';
import { IconButton } from './icons.js';
import { useSeen } from './sight.js';
import { day, isNewDay } from './time.js';

const WINDOW = 90;
const STEP = 40;
const NEAR_PX = 500;
const AWAY_PX = 800;
const TOGETHER_MS = 3 * 60_000;

export function MessageList({ conversation, query, onAnswer }) {
  const client = useClient();
  useToday();
  const box = useRef(null);
  const state = useRef({ bottom: true, anchor: null, busy: false });
  const wanted = query && sought(query);
  const all = wanted ? conversation.messages.filter(({ text }) => sought(text).includes(wanted)) : conversation.messages;
  // The window ends at a message, not at a number: older messages arriving in front do not move it.
  const [lastKey, setLastKey] = useState(null);
  const [away, setAway] = useState(false);
  const end = lastKey === null ? all.length : Math.max(all.findIndex((one) => key(one) === lastKey) + 1, Math.min(WINDOW, all.length));
  const [size, setSize] = useState(WINDOW);
  const start = Math.max(0, end - size);
  const shown = all.slice(start, end);

  const remember = () => {
    const element = box.current;
    if (!element) return; // gone while a page was awaited
    const row = [...element.querySelectorAll('[data-key]')].find((one) => one.offsetTop + one.offsetHeight > element.scrollTop);
    if (row) state.current.anchor = { key: row.dataset.key, top: row.offsetTop - element.scrollTop };
  };
  useLayoutEffect(() => {
    const element = box.current;
    const { bottom, anchor } = state.current;
    if (bottom && lastKey === null) element.scrollTop = element.scrollHeight;
    else if (anchor) {
      const row = element.querySelector(`[data-key="${anchor.key}"]`);
      if (row) element.scrollTop = row.offsetTop - anchor.top;
    }
  });
  useEffect(() => {
    // Pictures that load and keyboards that open change heights.
    const element = box.current;
    const observer = new ResizeObserver(() => {
      if (state.current.bottom && lastKey === null) element.scrollTop = element.scrollHeight;
    });
    observer.observe(element);
    observer.observe(element.firstElementChild);
    return () => observer.disconnect();
  }, [lastKey]);

  useSeen(client, conversation, box);

  const scrolled = async () => {
    const element = box.current;
    if (!element) return; // browsers tell of scrolling in the next frame, when the list may be gone
    const below = element.scrollHeight - element.scrollTop - element.clientHeight;
    state.current.bottom = below < 60;
    remember();
    setAway(below > AWAY_PX || lastKey !== null);
    if (state.current.busy || wanted) return;
    if (element.scrollTop < NEAR_PX) await up();
    else if (below < NEAR_PX && end < all.length) down();
  };
  const up = async () => {
    state.current.busy = true;
    try {
      if (start === 0 && !(await client.conversations.older(conversation.peer))) return;
      remember();
      const next = conversation.messages;
      const top = next.findIndex((one) => key(one) === key(shown[0] ?? next.at(-1)));
      const from = Math.max(0, top - STEP);
      const until = Math.min(next.length, from + WINDOW + STEP);
      setLastKey(until < next.length ? key(next[until - 1]) : null);
      setSize(until - from);
    } catch (error) {
      console.info(error); // offline: the next scroll asks again
    } finally {
      state.current.busy = false;
    }
  };
  const down = () => {
    remember();
    const until = Math.min(all.length, end + STEP);
    setLastKey(until < all.length ? key(all[until - 1]) : null);
    setSize(WINDOW);
  };
  const toEnd = () => {
    state.current.bottom = true;
    setLastKey(null);
    setSize(WINDOW);
    setAway(false);
    requestAnimationFrame(() => box.current && (box.current.scrollTop = box.current.scrollHeight));
  };
  const jump = (mid) => {
    const row = box.current.querySelector(`[data-key="${mid}"]`);
    row?.scrollIntoView({ block: 'center' });
    row?.classList.add('flash');
    setTimeout(() => row?.classList.remove('flash'), 1500);
  };
  const hidden = state.current.bottom && lastKey === null ? 0 : conversation.unread;
  const named = ({ ext, recalled }) => (Number.isSafeInteger(ext.reply?.mid) && ext.reply.mid > 0 && !recalled ? client.conversations.quoted(conversation, ext.reply.mid) : null);
  return html`<div class="messages-frame">
    <div class="messages" ref=${box} onScroll=${scrolled} tabindex="0" role="log" aria-label=${t('message')}>
      <div class="messages-inner">
        ${conversation.end && start === 0 && !wanted && html`<p class="center-note">${t('beginning')}</p>`}
        ${shown.map((message, index) => {
          const before = all[start + index - 1];
          const newDay = isNewDay(before?.time, message.time);
          const first = newDay || before?.sender !== message.sender || before?.recalled || message.time - before.time > TOGETHER_MS;
          return html`<div key=${key(message)} data-key=${key(message)}>
            ${newDay && html`<p class="day"><span>${day(message.time)}</span></p>`}
            <${Guard} of=${message} show=${() => html`<${Bubble} message=${message} quoted=${named(message)} first=${first} names=${client.directory.revision} onAnswer=${onAnswer} onJump=${jump} />`} />
          </div>`;
        })}
      </div>
    </div>
    ${(away || hidden > 0) && html`<${IconButton} icon="down" class="to-end" label=${t('newMessages')} onClick=${toEnd} />`}
    ${hidden > 0 && html`<b class="badge at-end" aria-hidden="true">${hidden > 99 ? '99+' : hidden}</b>`}
  </div>`;
}

const key = ({ mid, clientMid }) => String(mid || `c${clientMid}`);
