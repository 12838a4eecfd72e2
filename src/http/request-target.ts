/** The parts of an HTTP request target, RFC 9112, section 3.2. */
export interface RequestTarget {
  /** Still percent-encoded. */
  readonly path: string;
  /** After `?`; empty when there is none. */
  readonly query: string;
  /** Of an absolute target; it then replaces the `Host` header (section 3.2.2). */
  readonly authority: string | undefined;
}

/** Splits a target. Nothing is decoded or normalised: a path that is not spelled as in the table is not in it. */
export function toRequestTarget(target: string): RequestTarget {
  if (target.charCodeAt(0) === slash) return toPathAndQuery(target, undefined);
  const absolute = /^https?:\/\/([^/?#]*)/i.exec(target);
  if (!absolute) return toPathAndQuery(target, undefined);
  const rest = target.slice(absolute[0].length);
  return toPathAndQuery(rest.startsWith('/') ? rest : `/${rest}`, absolute[1] ?? '');
}

const slash = 0x2f;

function toPathAndQuery(text: string, authority: string | undefined): RequestTarget {
  const mark = text.indexOf('?');
  if (mark === -1) return { path: text, query: '', authority };
  return { path: text.slice(0, mark), query: text.slice(mark + 1), authority };
}
