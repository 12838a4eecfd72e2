import { createHash } from 'node:crypto';

/** Visible ASCII, as MCP asks of session ids, but no braces: they would move a key to another slot of a cluster. */
const sessionIdPattern = /^[!-z|~]{1,128}$/;

/** Whether an id may name a session here; what a client sends may be anything. */
export function isSessionId(id: string): boolean {
  return sessionIdPattern.test(id);
}

/** The keys of one session. They share a hash tag, and so a slot: one script can touch them all. */
export interface SessionKeys {
  /** The sealed record, behind its clocks. */
  readonly session: string;
  /** Application values. */
  readonly values: string;
  /** Stands where a session was ended, so that what comes late for it is refused. */
  readonly ended: string;
  /** What is known of each of the session's streams. */
  readonly streams: string;
  /** What the key of each stream begins with; its id follows. */
  readonly streamPrefix: string;
}

/** @param prefix of every key of this server, e.g. `mcp:` */
export function toSessionKeys(prefix: string, id: string): SessionKeys {
  const session = `${prefix}session:{${id}}`;
  return {
    session,
    values: `${session}:values`,
    ended: `${session}:ended`,
    streams: `${session}:streams`,
    streamPrefix: `${session}:stream:`,
  };
}

/** The keys of one principal's sessions, in a slot of their own. The principal is hashed: names stay out of keys. */
export interface PrincipalKeys {
  /** Its sessions by when they were last seen used. */
  readonly sessions: string;
  /** When the first of them reaches its absolute end, at the earliest. */
  readonly firstEnd: string;
}

/** @param prefix of every key of this server */
export function toPrincipalKeys(prefix: string, principalKey: string): PrincipalKeys {
  const sessions = `${prefix}principal:{${toDigest(principalKey)}}`;
  return { sessions, firstEnd: `${sessions}:first-end` };
}

/** The field of an application value. Hashed: its name is the application's, and may say something of a person. */
export function toValueField(sessionId: string, key: string): string {
  return toDigest(JSON.stringify([sessionId, key]));
}

function toDigest(text: string): string {
  return createHash('sha256').update(text).digest('base64url').slice(0, 22);
}
