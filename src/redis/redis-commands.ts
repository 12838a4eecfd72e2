import { ErrorReply, ClientOfflineError, type RedisClientType } from 'redis';
import { UpstreamError } from '../errors.ts';
import type { RedisLink } from './redis-link.ts';
import type { RedisLinks } from './redis-links.ts';
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

/** Replies of a server that did not do what it was asked and may soon: it loads, is a replica, elects, or another has it. */
const notNow = /^(?:MOVED|ASK|READONLY|LOADING|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|NOREPLICAS|BUSY) /;
const retryMs = 50;

/** Commands whose first argument is no key. */
const keyless: ReadonlySet<PropertyKey> = new Set<keyof RedisCommands>(['ping', 'publish', 'scan', 'time']);

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
  readonly issue: (client: RedisClientType) => Promise<Reply>;
  readonly key: string | undefined;
  readonly isRepeatable: boolean;
  readonly deadline: number;
  /** The node that a cluster sent this one command on to, while it moves the slot. */
  readonly askedOf?: string;
}

/** A command to run. */
export interface RedisCommand<Reply> {
  /** Sends it; rejects and never throws. Called again when the command certainly did not run. */
  readonly issue: (client: RedisClientType) => Promise<Reply>;
  /** One of its keys, if it has any. */
  readonly key: string | undefined;
  /** Whether it is sent again also when it may have run. */
  readonly isRepeatable: boolean;
}

/**
 * Runs commands so that each ends within a bound, and each failure is an `UpstreamError`. Written for the
 * usual case, a reply at the first attempt, to cost little more than the command.
 */
export class CommandRunner {
  readonly #links: RedisLinks;
  readonly #timeoutMs: number;
  readonly #now: () => number;
  readonly #whenIdle = new Set<() => void>();
  #inFlight = 0;

  constructor(links: RedisLinks, options: { readonly timeoutMs: number; readonly now: () => number }) {
    this.#links = links;
    this.#timeoutMs = options.timeoutMs;
    this.#now = options.now;
  }

  /** @throws UpstreamError */
  run<Reply>({ issue, key, isRepeatable }: RedisCommand<Reply>): Promise<Reply> {
    const attempt = { issue, key, isRepeatable, deadline: this.#now() + this.#timeoutMs };
    const link = this.#links.linkFor(key);
    return link.isReady ? this.#try(attempt, link) : this.#tryWhenReady(attempt);
  }

  /** Runs a script by its hash, or by its source where Redis does not know the hash. */
  runScript(script: RedisScript, keys: readonly string[], args: readonly string[]): Promise<unknown> {
    const rest = [String(keys.length), ...keys, ...args];
    const byHash = ['EVALSHA', script.sha, ...rest];
    const issue = async (client: RedisClientType): Promise<unknown> => {
      try {
        return await client.sendCommand<unknown>(byHash);
      } catch (error) {
        if (!(error instanceof ErrorReply && error.message.startsWith('NOSCRIPT'))) throw error;
        return client.sendCommand<unknown>(['EVAL', script.source, ...rest]);
      }
    };
    return this.run({ issue, key: keys[0], isRepeatable: script.isRepeatable });
  }

  /** Resolves when no command is on its way, which takes no longer than the time each has. */
  async waitUntilIdle(): Promise<void> {
    if (this.#inFlight === 0) return;
    await new Promise<void>((resolve) => this.#whenIdle.add(resolve));
  }

  async #tryWhenReady<Reply>(attempt: Attempt<Reply>): Promise<Reply> {
    for (;;) {
      const link = this.#linkOf(attempt);
      const lookAt = Math.min(this.#now() + this.#links.lookMs, attempt.deadline);
      if (await link.isReadyBy(lookAt)) return this.#try(attempt, link);
      if (this.#now() >= attempt.deadline || this.#links.lookMs === Number.POSITIVE_INFINITY)
        throw link.toUnreachable();
      await this.#links.refresh();
    }
  }

  async #tryAgain<Reply>(attempt: Attempt<Reply>, { message }: Error): Promise<Reply> {
    const [, where, askedOf] = /^(MOVED|ASK) \d+ (\S+)$/.exec(message) ?? [];
    if (where === 'ASK' && askedOf !== undefined) return this.#tryWhenReady({ ...attempt, askedOf });
    if (where === undefined) await new Promise((resolve) => setTimeout(resolve, retryMs));
    await this.#links.refresh();
    const { issue, key, isRepeatable, deadline } = attempt;
    return this.#tryWhenReady({ issue, key, isRepeatable, deadline });
  }

  #linkOf({ askedOf, key }: Attempt<unknown>): RedisLink {
    return askedOf === undefined ? this.#links.linkFor(key) : this.#links.linkTo(askedOf);
  }

  #try<Reply>(attempt: Attempt<Reply>, link: RedisLink): Promise<Reply> {
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
        link.noteTimeout(sentAt);
        reject(new UpstreamError('redis', 'Redis did not answer in time'));
      }, attempt.deadline - sentAt);
      const { client } = link;
      // It holds for the one command after it.
      if (attempt.askedOf !== undefined) client.sendCommand(['ASKING']).catch(() => undefined);
      attempt.issue(client).then(
        (reply) => {
          link.noteReply();
          if (isOver) return;
          end();
          resolve(reply);
        },
        (error: unknown) => {
          if (error instanceof ErrorReply) link.noteReply();
          if (isOver) return;
          end();
          if (error instanceof Error && this.#isWorthRetrying(error, attempt, link))
            resolve(this.#tryAgain(attempt, error));
          else reject(toUpstreamError(error));
        },
      );
    });
  }

  #isWorthRetrying(error: Error, attempt: Attempt<unknown>, link: RedisLink): boolean {
    if (this.#now() + retryMs >= attempt.deadline) return false;
    if (error instanceof ClientOfflineError) return true;
    if (error instanceof UpstreamError || error instanceof TypeError) return false;
    if (!(error instanceof ErrorReply)) return attempt.isRepeatable;
    if (!notNow.test(error.message)) return false;
    // After a failover we may still be connected to what was the master.
    if (error.message.startsWith('READONLY')) link.giveUp('read_only');
    return true;
  }
}

/** The commands of Redis, each run by `runner`. */
export function toBoundedCommands(runner: CommandRunner): RedisCommands {
  const bounded = new Map<PropertyKey, unknown>();
  return new Proxy({} as RedisCommands, {
    get: (_target, name) => {
      // A promise that resolves to these commands asks for `then`.
      if (name === 'then') return undefined;
      const known = bounded.get(name);
      if (known !== undefined) return known;
      const isRepeatable = repeatable.has(name);
      const run = (...args: unknown[]): Promise<unknown> =>
        runner.run({
          issue: async (client) => {
            // The type of the proxy says that it is one.
            const command = Reflect.get(client, name) as (...args: unknown[]) => Promise<unknown>;
            return command.apply(client, args);
          },
          key: keyless.has(name) ? undefined : toKey(args[0]),
          isRepeatable,
        });
      bounded.set(name, run);
      return run;
    },
  });
}

function toKey(argument: unknown): string | undefined {
  const first: unknown = Array.isArray(argument) ? argument[0] : argument;
  return typeof first === 'string' ? first : undefined;
}

/** Any failure of Redis or of the way to it; a wrong argument of ours stays what it is. */
export function toUpstreamError(error: unknown): Error {
  if (error instanceof UpstreamError || error instanceof TypeError || error instanceof RangeError)
    return error;
  const message =
    error instanceof ErrorReply ? 'Redis did not do what it was asked' : 'The connection to Redis broke';
  return new UpstreamError('redis', message, { cause: error });
}
