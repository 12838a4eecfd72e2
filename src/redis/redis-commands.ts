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

/** A command as it is tried, once or again. */
interface Attempt<Reply> {
  /** Sends it; rejects and never throws. */
  readonly issue: () => Promise<Reply>;
  readonly isRepeatable: boolean;
  readonly deadline: number;
}

/**
 * Runs commands on a link so that each ends within a bound, and each failure is an `UpstreamError`. Written for the
 * usual case, a reply at the first attempt, to cost little more than the command.
 */
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
  run<Reply>(issue: () => Promise<Reply>, isRepeatable: boolean): Promise<Reply> {
    const attempt = { issue, isRepeatable, deadline: this.#now() + this.#timeoutMs };
    return this.#link.isReady ? this.#try(attempt) : this.#tryWhenReady(attempt);
  }

  /** Runs a script by its hash, or by its source where Redis does not know the hash. */
  runScript(script: RedisScript, keys: readonly string[], args: readonly string[]): Promise<unknown> {
    const rest = [String(keys.length), ...keys, ...args];
    const byHash = ['EVALSHA', script.sha, ...rest];
    return this.run(async () => {
      try {
        return await this.#link.client.sendCommand<unknown>(byHash);
      } catch (error) {
        if (!(error instanceof ErrorReply && error.message.startsWith('NOSCRIPT'))) throw error;
        return this.#link.client.sendCommand<unknown>(['EVAL', script.source, ...rest]);
      }
    }, script.isRepeatable);
  }

  /** Resolves when no command is on its way, which takes no longer than the time each has. */
  async waitUntilIdle(): Promise<void> {
    if (this.#inFlight === 0) return;
    await new Promise<void>((resolve) => this.#whenIdle.add(resolve));
  }

  async #tryWhenReady<Reply>(attempt: Attempt<Reply>): Promise<Reply> {
    await this.#link.waitUntilReady(attempt.deadline);
    return this.#try(attempt);
  }

  async #tryAgain<Reply>(attempt: Attempt<Reply>): Promise<Reply> {
    await new Promise((resolve) => setTimeout(resolve, retryMs));
    return this.#tryWhenReady(attempt);
  }

  #try<Reply>(attempt: Attempt<Reply>): Promise<Reply> {
    const sentAt = this.#now();
    this.#inFlight += 1;
    return new Promise<Reply>((resolve, reject) => {
      let isOver = false;
      const end = (): void => {
        isOver = true;
        clearTimeout(timer);
        this.#inFlight -= 1;
        if (this.#inFlight === 0) for (const settle of this.#whenIdle) settle();
      };
      const timer = setTimeout(() => {
        end();
        this.#link.noteTimeout(sentAt);
        reject(new UpstreamError('redis', 'Redis did not answer in time'));
      }, attempt.deadline - sentAt);
      attempt.issue().then(
        (reply) => {
          this.#link.noteReply();
          if (isOver) return;
          end();
          resolve(reply);
        },
        (error: unknown) => {
          if (error instanceof ErrorReply) this.#link.noteReply();
          if (isOver) return;
          end();
          if (this.#isWorthRetrying(error, attempt)) resolve(this.#tryAgain(attempt));
          else reject(toUpstreamError(error));
        },
      );
    });
  }

  #isWorthRetrying(error: unknown, attempt: Attempt<unknown>): boolean {
    if (this.#now() + retryMs >= attempt.deadline) return false;
    if (error instanceof ClientOfflineError) return true;
    if (error instanceof UpstreamError || error instanceof TypeError) return false;
    if (!(error instanceof ErrorReply)) return attempt.isRepeatable;
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
