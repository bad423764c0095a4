// A hundred emoji that everybody uses.

import { html, useEffect, useRef } from './view.js';
import { t } from './i18n.js';

const EMOJI = [...'😀😃😄😁😆😅😂🤣🙂😉😊😇🥰😍🤩😘😋😛😜🤪🤗🤭🤫🤔😐😑😶😏😒🙄😬😌😔😪😴😷🤒🤕🥳😎🤓😕😟🙁😮😲😳🥺😨😰😥😢😭😱😖😞😓😩😫🥱😤😡😠🤬👍👎👌✌🤞👋🙌👏🙏💪🤝✍❤🧡💛💚💙💜🖤💔💯🔥🎉🎁🎂🌹🌞🌈⭐☕🍎🍺⚽🏆🚀📚✅❌❓❗💡🔔'];

export function EmojiPicker({ onPick, onClose }) {
  const box = useRef(null);
  useEffect(() => {
    const away = (event) => box.current?.contains(event.target) || event.target.closest('.composer-row') || onClose();
    document.addEventListener('pointerdown', away);
    return () => document.removeEventListener('pointerdown', away);
  }, []);
  return html`<div class="emoji" ref=${box} role="group" aria-label=${t('emoji')} onKeyDown=${(event) => event.key === 'Escape' && (event.preventDefault(), onClose())}>
    ${EMOJI.map((one) => html`<button type="button" key=${one} onClick=${() => onPick(one)}>${one}</button>`)}
  </div>`;
}
