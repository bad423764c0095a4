// Text of other people as it may be shown. Whatever a field holds, these answer a string and never throw.
//
// Left out are control characters, marks that turn the direction of what stands around them (`invoice_` U+202E `fdp.exe` reads
// `invoice_exe.pdf`), and characters nobody sees, which make two names look like one. The joiners U+200C and U+200D stay: emoji
// and Persian are made with them.

const HIDDEN = /[\0-\x08\x0B\x0C\x0E-\x1F\x7F-\x9F\u061C\u180E\u200B\u200E\u200F\u202A-\u202E\u2060-\u206F\uFEFF\uFFF9-\uFFFB]/g;
const BREAKS = /\r\n?|[\u2028\u2029]/g;
const DIRTY = /[\0-\x08\x0B-\x1F\x7F-\x9F\u061C\u180E\u200B\u200E\u200F\u2028-\u202E\u2060-\u206F\uFEFF\uFFF9-\uFFFB]/;
/** Blanks, marks and letters that are drawn as nothing: a name of these alone is none. */
const BLANK = /^[\s\p{Cf}\p{Cc}\p{M}\u115F\u1160\u2800\u3164\uFFA0]*$/u;

/** A text with its lines. @param {unknown} value @returns {string} '' for what is neither text nor number */
export function lines(value) {
  const text = typeof value === 'string' ? value : typeof value === 'number' ? String(value) : '';
  return DIRTY.test(text) ? text.replace(BREAKS, '\n').replace(HIDDEN, '') : text;
}

/** A name or title: one line, '' when there is nothing to see. @param {unknown} value @returns {string} */
export function line(value) {
  const text = lines(value).replace(/\s+/g, ' ').trim();
  return BLANK.test(text) ? '' : text;
}

/** A count that is shown or calculated with. @param {unknown} value @returns {number} 0 for what is none, or below */
export function count(value) {
  const number = typeof value === 'string' && value ? Number(value) : value;
  return typeof number === 'number' && Number.isFinite(number) && number > 0 ? number : 0;
}

/** A text as it is searched: case, width, accents and space around it do not count. @param {unknown} value */
export const sought = (value) => lines(value).normalize('NFKD').replace(/[\u0300-\u036f]/g, '').toLowerCase().trim();
