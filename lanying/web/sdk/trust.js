// Why a server cannot be reached, with what to do about it. Node says what is wrong with a certificate; browsers keep it to themselves.

const CLOCK = "look at this device's clock, then at the server's";
const NO_TLS = 'no TLS there: write http:// in front of the address, or give the port of listen_tls';

/** By the code of Node's error. @type {Record<string, string>} */
const REASONS = {
  CERT_HAS_EXPIRED: `its certificate has expired: ${CLOCK}`,
  CERT_NOT_YET_VALID: "its certificate is not valid yet: this device's clock is behind",
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is not for this name: use one that it is for, or have this one added to it (tls_names)',
  ERR_SSL_WRONG_VERSION_NUMBER: NO_TLS,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: NO_TLS,
};
const NOT_TRUSTED = /SELF_SIGNED|UNABLE_TO_(GET_ISSUER|VERIFY_LEAF)/;

/**
 * @param {unknown} error of `fetch`
 * @param {string} url that was asked for
 */
export function unreachable(error, url) {
  const { code = '', message = '' } = /** @type {any} */ (error)?.cause ?? {};
  const text = error instanceof Error ? error.message : String(error);
  if (REASONS[code]) return `the server cannot be reached: ${REASONS[code]}`;
  const { protocol, host } = new URL(url, globalThis.location?.href);
  const page = `http://${host}/trust`;
  if (NOT_TRUSTED.test(code)) {
    return `the server cannot be reached: its certificate is not trusted; give Node its authority's file (NODE_EXTRA_CA_CERTS=authority.pem), a browser finds it at ${page}`;
  }
  const hint = protocol === 'https:' && !code && error instanceof TypeError ? `; a device that does not trust it yet begins at ${page}` : '';
  return `the server cannot be reached (${message || text})${hint}`;
}

/** What somebody says who was asked without TLS on a port that speaks it; empty: it says something else. @param {string} answer */
export const wantsTls = (answer) => (answer.includes('this port speaks TLS') ? 'this port speaks TLS: write https:// in front of the address' : '');
