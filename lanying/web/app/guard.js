// A fault stays where it is: what cannot be drawn is left out with a note, and everything around it goes on.

import { Component, html } from './view.js';
import { t } from './i18n.js';

const NOTHING = {};

/**
 * `show` draws; `of` is what it draws: with another one it is tried again.
 * @typedef {{of: unknown, show: () => any}} GuardProps
 */
export class Guard extends Component {
  state = { broken: NOTHING };

  componentDidCatch(error) {
    console.warn('a part of the page cannot be shown', error);
    this.setState({ broken: this.props.of });
  }

  render({ of, show }, { broken }) {
    return broken === of ? html`<p class="broken">${t('broken')}</p>` : html`<${Shown} show=${show} />`;
  }
}

const Shown = ({ show }) => show();
