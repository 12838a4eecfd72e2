import { ErrorReply, ClientOfflineError, type RedisClientType } from 'redis';
import { UpstreamError } from '../errors.ts';
import type { RedisLink } from './redis-link.ts';
import type { RedisScript } from './redis-script.ts';

/**
 * The commands of Redis 7.0 by their node-redis names, each bounded in time. Without `multi`, which no cluster could
 * run over several keys: what must happen together is a script.
 */
export type RedisCommands = Pick<
  RedisClientType,
  | 'del'
  | 'exists'
  | 'expire'
  | 'get'
  | 'getDel'
  | 'hGet'
  | 'hGetAll'
  | 'hmGet'
  | 'hSet'
  | 'incr'
  | 'lPush'
  | 'lRange'
  | 'mGet'
  | 'pExpire'
  | 'ping'
  | 'pTTL'
  | 'publish'
  | 'rPopCount'
  | 'scan'
  | 'set'
  | 'sPublish'
  | 'time'
  | 'unlink'
  | 'xAdd'
  | 'xLen'
  | 'xRange'
  | 'zAdd'
  | 'zCard'
  | 'zCount'
  | 'zRange'
  | 'zRem'
>;

/** Replies of a server that did not do what it was asked and may soon: it loads, is a replica, or elects. */
const notNow = /^(?:READONLY|LOADING|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|NOREPLICAS|BUSY) /;
const retryMs = 50;

/** Commands that only read: sent again when the connection broke under them. */
const repeatable: ReadonlySet<PropertyKey> = new Set<keyof RedisCommands>([
  'exists',
  'get',
  'hGet',
  'hGetAll',
  'hmGet',
  'lRange',
  'mGet',
  'ping',
  'pTTL',
  'scan',
  'time',
  'xLen',
  'xRange',
  'zCard',
  'zCount',
  'zRange',
]);

/** Runs commands on a link so that each ends within a bound, and each failure is an `UpstreamError`. */
export class CommandRunner {
  readonly #link: RedisLink;
  readonly #timeoutMs: number;
  readonly #now: () => number;
  readonly #whenIdle = new Set<() => void>();
  #inFlight = 0;

  constructor(link: RedisLink, options: { readonly timeoutMs: number; readonly now: () => number }) {
    this.#link = link;
    this.#timeoutMs = options.timeoutMs;
    this.#now = options.now;
  }

  /**
   * @param issue sends the command, rejects and never throws; called again when the command certainly did not run
   * @param isRepeatable then also when it may have run
   * @throws UpstreamError
   */
  async run<Reply>(issue: () => Promise<Reply>, isRepeatable: boolean): Promise<Reply> {
    const deadline = this.#now() + this.#timeoutMs;
    this.#inFlight += 1;
    try {
      return await this.#runUntil(issue, isRepeatable, deadline);
    } finally {
      this.#inFlight -= 1;
      if (this.#inFlight === 0) for (const settle of this.#whenIdle) settle();
    }
  }

  /** Runs a script by its hash, or by its source where Redis does not know the hash. */
  runScript(script: RedisScript, keys: readonly string[], args: readonly string[]): Promise<unknown> {
    // node-redis changes neither.
    const call = { keys: keys as string[], arguments: args as string[] };
    return this.run<unknown>(async () => {
      const { client } = this.#link;
      try {
        return await client.evalSha(script.sha, call);
      } catch (error) {
        if (!(error instanceof ErrorReply && error.message.startsWith('NOSCRIPT'))) throw error;
        return client.eval(script.source, call);
      }
    }, script.isRepeatable);
  }

  /** Resolves when no command is on its way, which takes no longer than the time each has. */
  async waitUntilIdle(): Promise<void> {
    if (this.#inFlight === 0) return;
    await new Promise<void>((resolve) => this.#whenIdle.add(resolve));
  }

  async #runUntil<Reply>(
    issue: () => Promise<Reply>,
    isRepeatable: boolean,
    deadline: number,
  ): Promise<Reply> {
    for (;;) {
      if (!this.#link.isReady) await this.#link.waitUntilReady(deadline);
      try {
        return await this.#runOnce(issue, deadline);
      } catch (error) {
        const isRetried = this.#isWorthRetrying(error, isRepeatable);
        if (!isRetried || this.#now() + retryMs >= deadline) throw toUpstreamError(error);
      }
      await new Promise((resolve) => setTimeout(resolve, retryMs));
    }
  }

  #runOnce<Reply>(issue: () => Promise<Reply>, deadline: number): Promise<Reply> {
    const sentAt = this.#now();
    return new Promise<Reply>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#link.noteTimeout(sentAt);
        reject(new UpstreamError('redis', 'Redis did not answer in time'));
      }, deadline - sentAt);
      issue().then(
        (reply) => {
          clearTimeout(timer);
          this.#link.noteReply();
          resolve(reply);
        },
        (error: unknown) => {
          clearTimeout(timer);
          if (error instanceof ErrorReply) this.#link.noteReply();
          reject(error as Error);
        },
      );
    });
  }

  #isWorthRetrying(error: unknown, isRepeatable: boolean): boolean {
    if (error instanceof ClientOfflineError) return true;
    if (error instanceof UpstreamError || error instanceof TypeError) return false;
    if (!(error instanceof ErrorReply)) return isRepeatable;
    if (!notNow.test(error.message)) return false;
    // After a failover we may still be connected to what was the master.
    if (error.message.startsWith('READONLY')) this.#link.giveUp('read_only');
    return true;
  }
}

/** The commands of a link, each run by `runner`. */
export function toBoundedCommands(link: RedisLink, runner: CommandRunner): RedisCommands {
  const bounded = new Map<PropertyKey, unknown>();
  return new Proxy({} as RedisCommands, {
    get: (_target, name) => {
      // A promise that resolves to these commands asks for `then`.
      if (name === 'then') return undefined;
      const known = bounded.get(name);
      if (known !== undefined) return known;
      const run = (...args: unknown[]): Promise<unknown> =>
        runner.run(async () => {
          // The type of the proxy says that it is one.
          const command = Reflect.get(link.client, name) as (...args: unknown[]) => Promise<unknown>;
          return command.apply(link.client, args);
        }, repeatable.has(name));
      bounded.set(name, run);
      return run;
    },
  });
}

/** Any failure of Redis or of the way to it; a wrong argument of ours stays what it is. */
export function toUpstreamError(error: unknown): Error {
  if (error instanceof UpstreamError || error instanceof TypeError || error instanceof RangeError)
    return error;
  const message =
    error instanceof ErrorReply ? 'Redis did not do what it was asked' : 'The connection to Redis broke';
  return new UpstreamError('redis', message, { cause: error });
}
