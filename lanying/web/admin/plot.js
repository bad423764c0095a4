// A line over time.

import { html } from '../app/view.js';

const WIDTH = 300;
const HEIGHT = 72;
const COLOURS = 6;

/** @param {{title: string, value: string, note?: string, lines: {name: string, values: number[]}[]}} props all lines of the same length */
export function Plot({ title, value, note, lines }) {
  const top = Math.max(1, ...lines.flatMap(({ values }) => values));
  const length = Math.max(2, ...lines.map(({ values }) => values.length));
  const path = (values) => values.map((one, index) => `${index ? 'L' : 'M'}${((index / (length - 1)) * WIDTH).toFixed(1)} ${(HEIGHT - 3 - (one / top) * (HEIGHT - 8)).toFixed(1)}`).join('');
  return html`<figure class="plot">
    <figcaption><span>${title}</span><b>${value}</b></figcaption>
    <svg viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label=${`${title}: ${value}`}>
      ${lines.map(({ values }, index) => html`<path class=${`line-${index % COLOURS}`} d=${path(values)} />`)}
    </svg>
    <small class="muted">${note ?? lines.map(({ name }) => name).join(' · ')}</small>
  </figure>`;
}
