/** Where an authorization response may go. OAuth 2.1, section 2.3; RFC 8252, sections 7 and 8. */

const loopbackHosts = new Set(['127.0.0.1', '[::1]', 'localhost']);
/** Schemes that a browser runs, reads or opens itself, and that no application can have as its own. */
const forbiddenSchemes = new Set([
  'javascript:',
  'data:',
  'vbscript:',
  'blob:',
  'file:',
  'filesystem:',
  'about:',
  'view-source:',
  'ws:',
  'wss:',
  'ftp:',
  'mailto:',
  'tel:',
  'sms:',
]);
const maxLength = 2048;

/**
 * Whether a client may register it: `https`, `http` on a loopback address, or a scheme of the client's own
 * (`cursor://...`), without fragment, user name or password.
 */
export function isRedirectUriAllowed(uri: string): boolean {
  if (uri.length > maxLength || /[\s\p{C}\\]/u.test(uri) || !URL.canParse(uri)) return false;
  const url = new URL(uri);
  if (url.hash !== '' || uri.includes('#') || url.username !== '' || url.password !== '') return false;
  if (uri.includes('*')) return false;
  if (url.protocol === 'https:') return url.hostname !== '';
  if (url.protocol === 'http:') return isLoopbackRedirect(uri);
  return !forbiddenSchemes.has(url.protocol);
}

/** Whether it leads to the user's own machine, where any program may listen. */
export function isLoopbackRedirect(uri: string): boolean {
  return URL.canParse(uri) && loopbackHosts.has(new URL(uri).hostname);
}

/** Whether only a web site can receive it. */
export function isWebRedirect(uri: string): boolean {
  const { protocol } = new URL(uri);
  return protocol === 'https:' && !isLoopbackRedirect(uri);
}

/** What a page shows of it: the host, or the scheme of an application. */
export function toRedirectName(uri: string): string {
  const { protocol, host } = new URL(uri);
  return protocol === 'https:' || protocol === 'http:' ? host : protocol;
}
