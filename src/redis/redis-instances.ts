/**
 * Instances on Redis: each keeps a heartbeat key with a short time to live, `<prefix>instance:<id>`, and its place in
 * one sorted set by the time when it is to be taken for dead, `<prefix>instances`. The two are not one script: in a
 * cluster they live on different shards.
 *
 * A missing heartbeat proves a death only when heartbeats could be written all the while. So an instance believes one
 * that is missing only when its own were: not right after its start, nor after Redis was out of reach, slow or emptied.
 */
import type { Instances } from '../sessions/instances.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { RedisConnection } from './redis-connection.ts';
import { maxRetryMs } from './redis-link.ts';
import { defineScript } from './redis-script.ts';

/** What the instances of a server share, and how fast they notice. */
export interface RedisInstancesOptions {
  readonly redis: RedisConnection;
  /** Unique among the instances of one server, never used again. */
  readonly instanceId: string;
  readonly logger: Logger;
  /** How long after its last heartbeat an instance is dead. A third of it lies between heartbeats. Default 3,000. */
  readonly ttlMs?: number;
  /** Milliseconds; never runs backwards. */
  readonly now?: () => number;
}

/** How long a look at another instance is good for. */
const cacheMs = 500;
/** Most instances looked at within that time; far above any fleet. */
const maxCached = 1000;

/**
 * Notes that an instance lives, and forgets those that do not.
 *
 * KEYS[1] the sorted set. ARGV[1] the instance, ARGV[2] its time to live in milliseconds. Result: nothing.
 * Closes: a reader between the addition and the removal; and instances' clocks that differ, by Redis's own.
 */
const markScript = defineScript(
  'instances-mark',
  `local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('PEXPIRE', KEYS[1], ARGV[2])`,
  { isRepeatable: true },
);

/** Counts those that live. KEYS[1] the sorted set. Result: the number. Closes: clocks that differ, by Redis's own. */
const countScript = defineScript(
  'instances-count',
  `local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
return redis.call('ZCOUNT', KEYS[1], '(' .. now, '+inf')`,
  { isRepeatable: true },
);

/** See the file's head. Holds a timer from `announce` to `close`. */
export function createRedisInstances(options: RedisInstancesOptions): Instances {
  return new RedisInstances(options);
}

interface Look {
  readonly at: number;
  /** Whether one that is missing at that moment was dead. A look is good for a while; that must not shorten the wait. */
  readonly couldTellDeath: boolean;
  readonly isPresent: Promise<boolean>;
}

class RedisInstances implements Instances {
  readonly #redis: RedisConnection;
  readonly #id: string;
  readonly #logger: Logger;
  readonly #ttlMs: number;
  readonly #now: () => number;
  readonly #setKey: string;
  readonly #looks = new Map<string, Look>();
  #timer: NodeJS.Timeout | undefined;
  #stopHearing: (() => void) | undefined;
  #beating: Promise<void> | undefined;
  #lastBeatAt: number | undefined;
  #steadySince: number | undefined;
  #isFailing = false;
  #isClosed = false;

  constructor(options: RedisInstancesOptions) {
    this.#redis = options.redis;
    this.#id = options.instanceId;
    this.#logger = options.logger;
    this.#ttlMs = options.ttlMs ?? 3000;
    this.#now = options.now ?? (() => performance.now());
    this.#setKey = `${options.redis.prefix}instances`;
  }

  async announce(): Promise<void> {
    if (this.#isClosed) throw new Error('An instance that has ended cannot be announced again.');
    await this.#beat();
    if (this.#timer !== undefined || this.#isClosed) return;
    this.#timer = setInterval(() => this.#keepBeating(), this.#ttlMs / 3);
    this.#timer.unref();
    this.#stopHearing = this.#redis.onReconnected(() => {
      // Redis may have come back empty, and other instances are as late as this one.
      this.#steadySince = undefined;
      this.#keepBeating();
    });
  }

  async isAlive(instanceId: string): Promise<boolean> {
    if (instanceId === this.#id) return !this.#isClosed;
    const { isPresent, couldTellDeath } = this.#look(instanceId);
    return (await isPresent) || !couldTellDeath || !this.#canTellDeath();
  }

  async count(): Promise<number> {
    return Number(await this.#redis.runScript(countScript, [this.#setKey], []));
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearInterval(this.#timer);
    this.#stopHearing?.();
    // Else a heartbeat on its way would bring it back.
    await this.#beating?.catch(() => undefined);
    const { client } = this.#redis;
    // What cannot be removed is gone by itself soon.
    await Promise.allSettled([client.del(this.#toKey(this.#id)), client.zRem(this.#setKey, this.#id)]);
  }

  #toKey(instanceId: string): string {
    return `${this.#redis.prefix}instance:${instanceId}`;
  }

  /** Others may have been as late as this one, and come back later by the pause between two attempts. */
  #canTellDeath(): boolean {
    if (this.#steadySince === undefined || this.#lastBeatAt === undefined) return false;
    const now = this.#now();
    return now - this.#lastBeatAt < this.#ttlMs / 2 && now - this.#steadySince >= this.#ttlMs + maxRetryMs;
  }

  #look(instanceId: string): Look {
    const now = this.#now();
    const known = this.#looks.get(instanceId);
    if (known !== undefined && now - known.at < cacheMs) return known;
    if (this.#looks.size >= maxCached) this.#looks.clear();
    const isPresent = this.#redis.client.exists(this.#toKey(instanceId)).then((found) => found === 1);
    const look = { at: now, couldTellDeath: this.#canTellDeath(), isPresent };
    this.#looks.set(instanceId, look);
    return look;
  }

  #keepBeating(): void {
    this.#beat().catch((error: unknown) => {
      if (this.#isFailing || this.#isClosed) return;
      this.#isFailing = true;
      this.#logger.error('instance.heartbeat_failed', {}, error);
    });
  }

  /** One at a time: those that pile up while Redis hangs would tell nothing more. */
  #beat(): Promise<void> {
    this.#beating ??= this.#write().finally(() => {
      this.#beating = undefined;
    });
    return this.#beating;
  }

  async #write(): Promise<void> {
    if (this.#isClosed) return;
    const { client } = this.#redis;
    try {
      await Promise.all([
        client.set(this.#toKey(this.#id), '1', { expiration: { type: 'PX', value: this.#ttlMs } }),
        this.#redis.runScript(markScript, [this.#setKey], [this.#id, String(this.#ttlMs)]),
      ]);
    } catch (error) {
      this.#steadySince = undefined;
      throw error;
    }
    const now = this.#now();
    const isLate = this.#lastBeatAt !== undefined && now - this.#lastBeatAt > this.#ttlMs / 2;
    this.#lastBeatAt = now;
    this.#isFailing = false;
    if (isLate || this.#steadySince === undefined) this.#steadySince = now;
  }
}
