/**
 * A URI as it is compared: scheme and host in lower case, without a default port and without one slash at the end. What
 * is no http or https URI stays as it is.
 *
 * @see RFC 3986, sections 6.2.2.1 and 6.2.3; MCP 2026-07-28, Authorization, Canonical Server URI
 */
export function toCanonicalUri(uri: string): string {
  const [, scheme = '', authority = '', rest = ''] = /^(https?):\/\/([^/?#@]+)([^#]*)$/i.exec(uri) ?? [];
  if (scheme === '') return uri;
  const lowerScheme = scheme.toLowerCase();
  const host = authority.toLowerCase().replace(lowerScheme === 'https' ? /:443$/ : /:80$/, '');
  return `${lowerScheme}://${host}${rest.endsWith('/') ? rest.slice(0, -1) : rest}`;
}
