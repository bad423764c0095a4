// Times and sizes as people read them.

import { locale, t } from './i18n.js';

const DAY_MS = 86_400_000;
const sameDay = (a, b) => new Date(a).toDateString() === new Date(b).toDateString();

export const clock = (time) => new Date(time).toLocaleTimeString(locale(), { hour: '2-digit', minute: '2-digit' });

export function day(time) {
  const now = Date.now();
  if (sameDay(time, now)) return t('today');
  if (sameDay(time, now - DAY_MS)) return t('yesterday');
  const year = new Date(time).getFullYear() === new Date(now).getFullYear() ? undefined : 'numeric';
  return new Date(time).toLocaleDateString(locale(), { year, month: 'long', day: 'numeric' });
}

/** In a list: the clock today, the date before. */
export function brief(time) {
  if (sameDay(time, Date.now())) return clock(time);
  if (sameDay(time, Date.now() - DAY_MS)) return t('yesterday');
  return new Date(time).toLocaleDateString(locale(), { month: 'numeric', day: 'numeric' });
}

export const isNewDay = (before, time) => !before || !sameDay(before, time);

export function size(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  if (bytes < 1024 * 1024) return `${Math.round(bytes / 1024)} KB`;
  return `${(bytes / 1024 / 1024).toFixed(1)} MB`;
}

export const seconds = (count) => `${Math.floor(count / 60)}:${String(Math.floor(count % 60)).padStart(2, '0')}`;
