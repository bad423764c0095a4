// Starts the page.

import { html, render } from '../vendor/preact.js';
import { App } from './app.js';

render(html`<${App} />`, /** @type {HTMLElement} */ (document.getElementById('app')));
