// What components share: the client of this page, redraws on its events, the route in the address.

import { createContext, useContext, useEffect, useLayoutEffect, useState } from './view.js';

const MINUTE_MS = 60_000;
const COMPOSING = 229;

/** @type {any} the Client of the SDK */
export const ClientContext = createContext(null);
export const useClient = () => useContext(ClientContext);

/**
 * An effect that begins to listen. It belongs to the drawing itself: between that and an ordinary effect a busy browser lets
 * seconds pass, and what happened in them would never be drawn.
 */
const useListener = useLayoutEffect;

/** The client; the component is drawn again after any of its events, once per turn. */
export function useEvents(...names) {
  const client = useClient();
  const [, redraw] = useState(0);
  useListener(() => {
    let timer;
    const later = () => {
      timer ??= setTimeout(() => {
        timer = undefined;
        redraw((count) => count + 1);
      }, 16);
    };
    const stops = names.map((name) => client.on(name, later));
    return () => {
      clearTimeout(timer);
      for (const stop of stops) stop();
    };
  }, [client]);
  return client;
}

/** Drawn again when the day has changed, also after a sleep: "Today" is a word about the clock. */
export function useToday() {
  const [, set] = useState(today);
  useListener(() => {
    const look = () => set(today());
    const timer = setInterval(look, MINUTE_MS);
    document.addEventListener('visibilitychange', look);
    return () => {
      clearInterval(timer);
      document.removeEventListener('visibilitychange', look);
    };
  }, []);
}

const today = () => new Date().toDateString();

/** A key that belongs to a method of input: Safari says so by the code alone, after the composition. */
export const composing = (event) => event.isComposing || event.keyCode === COMPOSING;

const parts = () => location.hash.replace(/^#\/?/, '').split('/').filter(Boolean);

/** Address `#/chats/u/17` as `['chats', 'u', '17']`: the browser's way back works, also on phones. */
export function useRoute() {
  const [route, set] = useState(parts);
  useListener(() => {
    const changed = () => set(parts());
    addEventListener('hashchange', changed);
    return () => removeEventListener('hashchange', changed);
  }, []);
  return route;
}

export function go(path, replace = false) {
  if (replace) location.replace(`#/${path}`);
  else location.hash = `#/${path}`;
}

export const chatPath = (peer, group) => `chats/${group ? 'g' : 'u'}/${peer}`;

/** A value that is asked for: [value, ask again]. */
export function useFetched(ask, dependencies, initial) {
  const [value, set] = useState(initial);
  const again = async () => {
    try {
      set(await ask());
    } catch (error) {
      console.info(error);
    }
  };
  useEffect(() => {
    again();
  }, dependencies);
  return [value, again];
}
