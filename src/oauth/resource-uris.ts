/**
 * The resource that a client means, spelled as we spell it. Real clients send the origin for the resource below it, a
 * slash at the end, or a host in capitals; RFC 8707 compares URIs, and the engine strings.
 *
 * @returns our resource, or what was given when it is none of ours
 */
export function toCanonicalResource(given: string, resource: string): string {
  if (given === resource || !URL.canParse(given)) return given;
  const url = new URL(given);
  const own = new URL(resource);
  if (url.search !== '' || url.hash !== '' || url.origin !== own.origin) return given;
  const path = withoutSlash(url.pathname);
  // Claude Code may name the origin of the only resource there.
  return path === withoutSlash(own.pathname) || path === '' ? resource : given;
}

function withoutSlash(path: string): string {
  return path.endsWith('/') ? path.slice(0, -1) : path;
}
