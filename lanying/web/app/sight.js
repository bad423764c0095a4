// What a person sees: read is what was on a visible screen, not what has arrived.

import { useEffect } from './view.js';

/** So much of a row shows who writes what. */
const SEEN_PX = 24;

/** The newest message whose row begins in sight, 0 for none. @param {HTMLElement | null} box */
function newestInSight(box) {
  const bottom = box ? box.scrollTop + box.clientHeight : 0;
  for (let row = box?.querySelector('.messages-inner')?.lastElementChild; row; row = row.previousElementSibling) {
    const { offsetTop, dataset } = /** @type {HTMLElement} */ (row);
    if (offsetTop + SEEN_PX < bottom && Number(dataset.key) > 0) return Number(dataset.key);
  }
  return 0;
}

/** Marks as read what is in sight: after each drawing, scrolling, and when the page is looked at again. */
export function useSeen(client, conversation, box) {
  const seen = () => {
    if (document.hidden || client.state !== 'online') return;
    const mid = newestInSight(box.current);
    if (mid) client.conversations.markRead(conversation.peer, mid);
  };
  useEffect(seen);
  useEffect(() => {
    const element = box.current;
    document.addEventListener('visibilitychange', seen);
    element.addEventListener('scroll', seen, { passive: true });
    return () => {
      document.removeEventListener('visibilitychange', seen);
      element.removeEventListener('scroll', seen);
    };
  }, [conversation]);
}
