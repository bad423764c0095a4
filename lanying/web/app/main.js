// Starts the page.

import { html, render } from './view.js';
import { App } from './app.js';

render(html`<${App} />`, /** @type {HTMLElement} */ (document.getElementById('app')));
