// Browsers cut what is pasted into a field with a limit, and say nothing. This says it.

import { t } from './i18n.js';
import { toast } from './toast.js';

addEventListener('paste', ({ target, clipboardData }) => {
  const { maxLength: most = 0, value = '', selectionStart = 0, selectionEnd = 0 } = /** @type {HTMLInputElement} */ (target);
  const pasted = clipboardData?.getData('text') ?? '';
  if (most > 0 && value.length - ((selectionEnd ?? 0) - (selectionStart ?? 0)) + pasted.length > most) toast(t('cut', { most }), 'error');
});
