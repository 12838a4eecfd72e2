/**
 * Seals what rests in Redis: records, application values, events. A text opens only as what it was sealed for, so one
 * that was copied elsewhere, or changed, does not.
 *
 * Does not check: whether an older text of the same record was put back, whether events were left out or moved within
 * their stream. Whoever can write to Redis can do that; nobody there can read or make a text.
 */
import { createHash } from 'node:crypto';
import type { SealedBox } from '../mcp/sealed-box.ts';
import type { Logger } from '../telemetry/logger.ts';

/** What was sealed; a text sealed as one thing does not open as another. */
export type SealedThing = 'record' | 'value' | 'event';

/** Far past what any of our own bounds let through. */
const maxSealedAtRest = 256 * 1024 * 1024;

/** Redis forgets a text long before: this bounds how long one that was copied out of it opens. */
const maxRestSeconds = 400 * 24 * 60 * 60;

/** See the file's head. */
export class SessionSeal {
  readonly #box: SealedBox;
  readonly #logger: Logger;

  constructor(box: SealedBox, logger: Logger) {
    this.#box = box;
    this.#logger = logger;
  }

  /**
   * @param place where it rests: the session's id, then what names it in the session, as its key or field does: whoever
   *   goes through Redis finds both there
   */
  seal(thing: SealedThing, place: readonly [sessionId: string, ...string[]], text: string): string {
    return this.#box.seal(text, {
      purpose: `session-${thing}`,
      boundTo: JSON.stringify(place),
      ttlSeconds: maxRestSeconds,
      maxLength: maxSealedAtRest,
    });
  }

  /** `undefined`, and a line in the log, for what was not sealed so with a key that we have. */
  open(
    thing: SealedThing,
    place: readonly [sessionId: string, ...string[]],
    sealed: string,
  ): string | undefined {
    const text = this.#box.open(sealed, {
      purpose: `session-${thing}`,
      boundTo: JSON.stringify(place),
      maxLength: maxSealedAtRest,
    });
    if (text === undefined) this.reportTampered(thing, place[0]);
    return text;
  }

  /** A text sealed anew, for the same place, with the first of our keys; `undefined` when it opens with none of them. */
  reseal(
    thing: SealedThing,
    place: readonly [sessionId: string, ...string[]],
    sealed: string,
  ): string | undefined {
    const text = this.#box.open(sealed, {
      purpose: `session-${thing}`,
      boundTo: JSON.stringify(place),
      maxLength: maxSealedAtRest,
    });
    return text === undefined ? undefined : this.seal(thing, place, text);
  }

  /** A security event: somebody wrote to Redis, or a key was taken away too early. The session is told by a hash. */
  reportTampered(thing: SealedThing, sessionId: string): void {
    this.#logger.error(`session.${thing}_tampered`, {
      sessionHash: createHash('sha256').update(sessionId).digest('hex').slice(0, 12),
    });
  }
}
