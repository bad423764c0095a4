// What was begun and not sent, per conversation, until the page is closed.

/** @type {Map<number, string>} */
export const drafts = new Map();
