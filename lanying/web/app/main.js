// Starts the page.

import { html, render } from './view.js';
import { App } from './app.js';
import './cut.js';

render(html`<${App} />`, /** @type {HTMLElement} */ (document.getElementById('app')));
