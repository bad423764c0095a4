// REST calls and discovery: one envelope, one error.

import { unreachable, wantsTls } from './trust.js';

const TIMEOUT_MS = 20_000;

/** The server refused a call. `code`: see docs/rest.md; 0 means that the server could not be reached. */
export class CallError extends Error {
  constructor(code, message) {
    super(message || `code ${code}`);
    this.name = 'CallError';
    this.code = code;
  }
}

/** Calls one server as one user. */
export class Rest {
  /**
   * @param {string} url of the server, for example `http://pi.local:8480`, or `https://school.example/im` behind a proxy
   * @param {string} appId
   */
  constructor(url, appId) {
    this.url = url.replace(/\/$/, '');
    this.appId = appId;
    this.token = '';
    /** For addresses of files, which are seen by more than the server. */
    this.fileToken = '';
    /** Called when a token is not good any more. @type {() => void} */
    this.onExpired = () => {};
  }

  /**
   * @param {'GET' | 'POST' | 'PUT'} method
   * @param {string} path
   * @param {Record<string, any>} [params] in the query of a GET, in the body of others
   * @param {Record<string, string>} [headers] for admins: `user_id`, `group_id`
   * @returns {Promise<any>} `data` of the answer
   * @throws {CallError}
   */
  async call(method, path, params = {}, headers = {}) {
    return (await this.#ask(method, path, params, headers)).data;
  }

  /** A GET whose answer has members beside `data`, such as `cursor`. @returns {Promise<{data: any, cursor?: string}>} */
  page(path, params = {}, headers = {}) {
    return this.#ask('GET', path, params, headers);
  }

  async #ask(method, path, params, headers) {
    const query = method === 'GET' ? new URLSearchParams(Object.entries(params).filter(([, value]) => value !== undefined)) : '';
    const { token } = this;
    const answer = await this.#fetch(`${this.url}${path}${query && `?${query}`}`, {
      method,
      headers: {
        app_id: this.appId,
        'app-id': this.appId, // nginx drops headers with an underscore
        ...(token && { 'access-token': token }),
        ...(method !== 'GET' && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(method !== 'GET' && { body: JSON.stringify(params) }),
    });
    if (answer?.code !== 200) {
      if (answer?.code === 402 && token && token === this.token) this.onExpired(); // not that of a question before a new token
      throw new CallError(answer?.code ?? 0, answer?.message ?? 'not an answer of this server');
    }
    return answer;
  }

  get = (path, params, headers) => this.call('GET', path, params, headers);
  post = (path, params, headers) => this.call('POST', path, params, headers);

  /**
   * Where calls and messages go. A server that is `here` goes on being called as it was: it cannot know what a proxy takes from the
   * addresses of its clients, a path or a port.
   * @returns {Promise<{rest: string, messages: string}>}
   */
  async discover() {
    const { dns_list: levels } = await this.get('/v2/app_dns', { app_id: this.appId, source: 'sdk' });
    const cluster = levels.find((level) => level.group_level === 0)?.clusters[0];
    if (!cluster) throw new CallError(99997, 'the server does not know this app');
    const [rest] = cluster.ratel;
    const [messages] = cluster.webim ?? cluster.ws;
    const address = (server) => (server.here ? this.url : `${server.protocol}://${server.host}`);
    const found = { rest: address(rest), messages: `${address(messages).replace(/^http/, 'ws')}/xsync` };
    this.url = found.rest;
    return found;
  }

  async #fetch(url, options) {
    let text;
    try {
      const response = await fetch(url, { ...options, signal: AbortSignal.timeout(TIMEOUT_MS) });
      text = await response.text();
    } catch (error) {
      throw new CallError(0, unreachable(error, url));
    }
    try {
      return JSON.parse(text);
    } catch {
      throw new CallError(0, wantsTls(text) || 'not an answer of this server');
    }
  }
}
