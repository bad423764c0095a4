// Words in two languages. `t('greeting', { name })` fills `{name}`.

import { LOCAL } from '../sdk/kept.js';
import { EN } from './en.js';
import { ZH } from './zh.js';

const LANGUAGES = { en: EN, zh: ZH };
const KEY = 'lanying-language';

export const language = () => {
  const chosen = LOCAL.getItem(KEY);
  return chosen && chosen in LANGUAGES ? chosen : navigator.language.startsWith('zh') ? 'zh' : 'en';
};

export const locale = () => (language() === 'zh' ? 'zh-CN' : 'en-GB');

export function setLanguage(code) {
  LOCAL.setItem(KEY, code);
  location.reload();
}

document.documentElement.lang = locale();
const chosen = LANGUAGES[language()];

/** @param {keyof typeof EN} key */
export const words = (key) => chosen[key] ?? EN[key] ?? key;

/** @param {keyof typeof EN} key @param {Record<string, any>} [values] */
export function t(key, values = {}) {
  return words(key).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? '');
}

/** An error as the user reads it: known codes in their language, others as the server says. */
export const explain = (error) => {
  const key = `error_${error.code}`;
  return key in chosen ? t(/** @type {any} */ (key)) : error.message;
};
