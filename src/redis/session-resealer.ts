import { toTag } from './opened-records.ts';
import type { RedisConnection } from './redis-connection.ts';
import { readStoredEvents } from './scripts/read-stored-events.ts';
import { resealEvents } from './scripts/reseal-events.ts';
import { resealRecord } from './scripts/reseal-record.ts';
import { resealValue } from './scripts/reseal-value.ts';
import { toSessionKeys } from './session-keys.ts';
import type { SealedThing, SessionSeal } from './session-seal.ts';

/** What became of the sealed texts of one kind. */
export interface ResealCount {
  /** Sealed anew with the first key. */
  resealed: number;
  /** Were sealed with the first key already. */
  current: number;
  /** Open with none of the keys. */
  unreadable: number;
  /** Were changed while they were being sealed, each time they were tried, or are gone. */
  missed: number;
}

/** Texts of each kind. */
export type ResealCounts = Readonly<Record<SealedThing, ResealCount>>;

/** What resealing needs. */
export interface SessionResealerOptions {
  readonly redis: RedisConnection;
  readonly seal: SessionSeal;
  /** What texts sealed with the first key begin with. */
  readonly keyId: string;
}

/** A writer that comes between is most often an instance that seals with the first key itself. */
const maxAttempts = 5;
/** Events read and written in one step; a session's together are bounded at a few MiB. */
const eventsPerStep = 32;

/** Nothing counted yet. */
export function createCounts(): ResealCounts {
  const create = (): ResealCount => ({ resealed: 0, current: 0, unreadable: 0, missed: 0 });
  return { record: create(), value: create(), event: create() };
}

/** Seals what rests of sessions with the first key. Every write is a compare-and-swap, so none of another is lost. */
export class SessionResealer {
  readonly #redis: RedisConnection;
  readonly #seal: SessionSeal;
  readonly #currentPrefix: string;

  constructor({ redis, seal, keyId }: SessionResealerOptions) {
    this.#redis = redis;
    this.#seal = seal;
    this.#currentPrefix = `${keyId}.`;
  }

  /** Reseals what is at one key of a session; what else there is of sessions is not sealed. */
  async reseal(key: string, counts: ResealCounts): Promise<void> {
    const [, id, isValues, streamId] =
      /^session:\{([^{}]{1,128})\}(?:(:values)|:stream:(.+))?$/s.exec(key.slice(this.#redis.prefix.length)) ??
      [];
    if (id === undefined) return;
    if (streamId !== undefined) await this.#resealStream(id, streamId, counts.event);
    else if (isValues === undefined) await this.#resealRecord(key, id, counts.record);
    else await this.#resealValues(key, id, counts.value);
  }

  async #resealRecord(key: string, id: string, count: ResealCount): Promise<void> {
    for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
      const text = await this.#redis.client.get(key);
      if (text === null) return;
      const sealed = text.slice(clockDigits);
      const resealed = this.#toResealed('record', [id], sealed, count);
      if (resealed === undefined) return;
      if ((await this.#redis.runScript(resealRecord, [key], [toTag(sealed), resealed])) === 1) {
        count.resealed += 1;
        return;
      }
    }
    count.missed += 1;
  }

  async #resealValues(key: string, id: string, count: ResealCount): Promise<void> {
    const fields = Object.keys(await this.#redis.client.hGetAll(key)).filter((name) => !name.startsWith('.'));
    for (const field of fields) await this.#resealValue(key, id, field, count);
  }

  async #resealValue(key: string, id: string, field: string, count: ResealCount): Promise<void> {
    for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
      const text = await this.#redis.client.hGet(key, field);
      if (text === null) return;
      const sealed = text.slice(text.lastIndexOf(' ') + 1);
      const resealed = this.#toResealed('value', [id, field], sealed, count);
      if (resealed === undefined) return;
      if ((await this.#redis.runScript(resealValue, [key], [field, toTag(sealed), resealed])) === 1) {
        count.resealed += 1;
        return;
      }
    }
    count.missed += 1;
  }

  async #resealStream(id: string, streamId: string, count: ResealCount): Promise<void> {
    const { streams, streamPrefix } = toSessionKeys(this.#redis.prefix, id);
    const keys = [streams, `${streamPrefix}${streamId}`];
    // As it is at the first look: a stream that is written to would keep us for as long.
    let end = Number.POSITIVE_INFINITY;
    for (let from = 0; from < end;) {
      const reply = await this.#redis.runScript(readStoredEvents, keys, [
        streamId,
        String(from),
        String(eventsPerStep),
      ]);
      if (!Array.isArray(reply)) return;
      // The script returns two numbers, then texts.
      const [first, next, ...events] = reply as unknown as readonly [number, number, ...string[]];
      end = Math.min(end, next);
      const changes: string[][] = [];
      for (const [index, event] of events.entries()) {
        const sealed = event.slice(event.indexOf(' ') + 1);
        const resealed = this.#toResealed('event', [id, streamId], sealed, count);
        if (resealed !== undefined) changes.push([String(first + index), toTag(sealed), resealed]);
      }
      if (changes.length > 0) {
        const replaced = await this.#redis.runScript(resealEvents, keys, [streamId, ...changes.flat()]);
        count.resealed += Number(replaced);
        count.missed += changes.length - Number(replaced);
      }
      from = first + events.length;
    }
  }

  /** `undefined`, and counted, for a text that needs nothing, or that nothing can be done about. */
  #toResealed(
    thing: SealedThing,
    place: readonly [sessionId: string, ...string[]],
    sealed: string,
    count: ResealCount,
  ): string | undefined {
    if (sealed.startsWith(this.#currentPrefix)) {
      count.current += 1;
      return undefined;
    }
    const resealed = this.#seal.reseal(thing, place, sealed);
    if (resealed === undefined) count.unreadable += 1;
    return resealed;
  }
}

/** The clocks in front of a sealed record. */
const clockDigits = 29;
