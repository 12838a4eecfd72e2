/**
 * Seals everything that rests in Redis with the first of our keys, while instances serve. Can be ended at any moment and
 * run again: what is sealed with the first key is passed over.
 *
 * Goes through all keys until a whole pass finds nothing to do: what moved past one pass is found by the next. Messages
 * between instances are not rewritten, they would change their order: they rest for two minutes at most, and are waited
 * for.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { scanKeys } from './key-scan.ts';
import type { RedisConnection } from './redis-connection.ts';
import { createCounts, type ResealCounts, SessionResealer } from './session-resealer.ts';
import type { SessionSeal } from './session-seal.ts';

/** What rekeying needs. */
export interface RekeyOptions {
  readonly redis: RedisConnection;
  /** Opens with all of the keys, seals with the first. */
  readonly seal: SessionSeal;
  /** Ids of the keys, as sealed texts begin with; the first seals. */
  readonly keyIds: readonly [string, ...string[]];
  /** Ends it between two steps. */
  readonly signal: AbortSignal;
  /** Called after every step. */
  readonly onProgress: (progress: RekeyProgress) => void;
  /** How long messages between instances may take to go. Default 150,000. */
  readonly maxMessageWaitMs?: number;
}

/** How far it came. */
export interface RekeyProgress {
  /** From 1. */
  readonly pass: number;
  /** Keys looked at in this pass. */
  readonly keys: number;
  /** Texts sealed anew in all passes. */
  readonly resealed: number;
  /** Messages waited for; 0 before that. */
  readonly waiting: number;
}

/** What came of it. */
export interface RekeySummary {
  /** Of the key that everything is sealed with now; public. */
  readonly keyId: string;
  readonly passes: number;
  /** Sealed anew, in all passes. */
  readonly resealed: { readonly records: number; readonly values: number; readonly events: number };
  /** Found by the last pass: sealed with the first key. */
  readonly current: { readonly records: number; readonly values: number; readonly events: number };
  /** Found by the last pass: open with none of the keys. Instances cannot open them either. */
  readonly unreadable: number;
  /** Messages that are still sealed with another key. */
  readonly messagesLeft: number;
  /** Whether nothing is sealed with another key of ours any more. */
  readonly isComplete: boolean;
}

const maxPasses = 8;
/** Keys worked on at once. */
const maxAtOnce = 8;
const messageLookMs = 1000;
/** Messages read at once: few, since one may have 1 MiB. */
const messagesPerStep = 16;

/**
 * @throws UpstreamError when Redis cannot be reached; what was done stays done
 * @throws the reason of `signal`
 */
export async function rekeySessions(options: RekeyOptions): Promise<RekeySummary> {
  const { redis, seal, keyIds, signal, onProgress } = options;
  const resealer = new SessionResealer({ redis, seal, keyId: keyIds[0] });
  const resealed = { records: 0, values: 0, events: 0 };
  const total = (): number => resealed.records + resealed.values + resealed.events;
  let pass = 0;
  let counts: ResealCounts;
  let isClean: boolean;
  do {
    pass += 1;
    counts = createCounts();
    let keys = 0;
    for await (const batch of scanKeys(redis, `${redis.prefix}session:`)) {
      signal.throwIfAborted();
      await forEachAtOnce(batch, (key) => resealer.reseal(key, counts));
      keys += batch.length;
      onProgress({ pass, keys, resealed: total() + sum(counts, 'resealed'), waiting: 0 });
    }
    resealed.records += counts.record.resealed;
    resealed.values += counts.value.resealed;
    resealed.events += counts.event.resealed;
    isClean = sum(counts, 'resealed') + sum(counts, 'missed') === 0;
  } while (!isClean && pass < maxPasses);
  const messagesLeft = await waitForMessages(options, (waiting) => {
    onProgress({ pass, keys: 0, resealed: total(), waiting });
  });
  return {
    keyId: keyIds[0],
    passes: pass,
    resealed,
    current: {
      records: counts.record.current,
      values: counts.value.current,
      events: counts.event.current,
    },
    unreadable: sum(counts, 'unreadable'),
    messagesLeft,
    isComplete: isClean && messagesLeft === 0,
  };
}

async function waitForMessages(
  { redis, keyIds, signal, maxMessageWaitMs = 150_000 }: RekeyOptions,
  onWaiting: (count: number) => void,
): Promise<number> {
  const [, ...others] = keyIds;
  const deadline = performance.now() + maxMessageWaitMs;
  for (;;) {
    const count = others.length === 0 ? 0 : await countMessages(redis, others);
    if (count === 0 || performance.now() >= deadline) return count;
    onWaiting(count);
    await sleep(messageLookMs, undefined, { signal }).catch(() => undefined);
    signal.throwIfAborted();
  }
}

async function countMessages(redis: RedisConnection, keyIds: readonly string[]): Promise<number> {
  let count = 0;
  for await (const batch of scanKeys(redis, `${redis.prefix}inbox:`)) {
    for (const key of batch) {
      let from = '-';
      for (;;) {
        const entries = (await redis.client.xRange(key, from, '+', { COUNT: messagesPerStep })) ?? [];
        const texts = entries.flatMap(({ message }) => Object.values(message));
        count += texts.filter((text) => keyIds.some((id) => text.includes(`,${id}.`))).length;
        const last = entries.at(-1);
        if (last === undefined || entries.length < messagesPerStep) break;
        from = `(${last.id}`;
      }
    }
  }
  return count;
}

async function forEachAtOnce(keys: readonly string[], work: (key: string) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let key = keys[next]; key !== undefined; key = keys[next]) {
      next += 1;
      await work(key);
    }
  };
  await Promise.all(Array.from({ length: maxAtOnce }, worker));
}

function sum({ record, value, event }: ResealCounts, field: keyof ResealCounts['record']): number {
  return record[field] + value[field] + event[field];
}
