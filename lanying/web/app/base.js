// Where this server is, also below a path of a proxy: modules lie at BASE/web/RELEASE/app/.

export const BASE = new URL('../../..', import.meta.url).href.replace(/\/$/, '');
