/** How one Redis process is connected to, and which one is the master according to the sentinels. */
import { createClient, type RedisClientOptions, type RedisClientType } from 'redis';
import { loadRedisTls, type RedisTls } from './redis-tls.ts';
import type { RedisCredentials, RedisNode, RedisTarget } from '../config/redis-url.ts';

/** Most commands on their way at once on one connection. */
const maxInFlight = 50_000;
/** An idle connection is asked for a sign of life, and ended when neither side has said anything for so long. */
const pingIntervalMs = 5000;
const maxIdleMs = 10_000;

/** How a node is connected to. */
export interface NodeConnection {
  readonly node: RedisNode;
  readonly credentials: RedisCredentials;
  readonly database: number;
  readonly tls: RedisTls | undefined;
  readonly connectTimeoutMs: number;
}

/** Options of a client that connects once and queues nothing while it is not connected. */
export function toNodeOptions(connection: NodeConnection): RedisClientOptions {
  const { node, credentials, database, tls, connectTimeoutMs } = connection;
  return {
    socket: {
      host: node.host,
      port: node.port,
      ...(tls === undefined ? {} : { tls: true as const, ...tls, ...toServerName(node) }),
      connectTimeout: connectTimeoutMs,
      socketTimeout: maxIdleMs,
      reconnectStrategy: false,
    },
    ...(credentials.username === undefined ? {} : { username: credentials.username }),
    ...(credentials.password === undefined ? {} : { password: credentials.password }),
    database,
    pingInterval: pingIntervalMs,
    commandsQueueMaxLength: maxInFlight,
    disableOfflineQueue: true,
    disableClientInfo: true,
    maintNotifications: 'disabled',
    // Ours are bounded anyway. The client's own bound makes a timer per command that fires, seconds later, each time.
    commandOptions: { timeout: 0 },
  };
}

/** A certificate is for the name that was asked for; an address is compared as such. RFC 6066, section 3. */
function toServerName({ host }: RedisNode): { readonly servername?: string } {
  return /^[\d.]+$|:/.test(host) ? {} : { servername: host };
}

/**
 * Asks the sentinels, one after the other, which node is the master.
 *
 * @throws Error when none of them knows
 */
export async function findMaster(target: RedisTarget, timeoutMs: number): Promise<RedisNode> {
  const problems: unknown[] = [];
  for (const sentinel of target.nodes) {
    try {
      return await askSentinel(target, sentinel, timeoutMs);
    } catch (error) {
      problems.push(error);
    }
  }
  throw new AggregateError(problems, `No sentinel could name the master ${target.masterName ?? ''}`);
}

/** @throws Error when the node that we are connected to is not a master: the sentinels were behind */
export async function requireMaster(client: RedisClientType): Promise<void> {
  const reply = await client.sendCommand<unknown>(['ROLE']);
  if (!Array.isArray(reply) || reply[0] !== 'master') throw new Error('The node is not the master');
}

async function askSentinel(target: RedisTarget, sentinel: RedisNode, timeoutMs: number): Promise<RedisNode> {
  const client = createClient(
    toNodeOptions({
      node: sentinel,
      credentials: target.sentinelCredentials,
      database: 0,
      tls: await loadRedisTls(target.tls),
      connectTimeoutMs: timeoutMs,
    }),
  );
  client.on('error', () => undefined);
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error('The sentinel did not answer in time')), timeoutMs);
  });
  const ask = async (): Promise<unknown> => {
    await client.connect();
    return client.sendCommand(['SENTINEL', 'GET-MASTER-ADDR-BY-NAME', target.masterName ?? '']);
  };
  try {
    const reply = await Promise.race([ask(), tooLate]);
    if (!Array.isArray(reply)) throw new Error('The sentinel knows no such master');
    return { host: String(reply[0]), port: Number(reply[1]) };
  } finally {
    clearTimeout(timer);
    client.destroy();
  }
}
