import { createClient, type RedisClientType } from 'redis';
import { vi } from 'vitest';
import { toSlot } from '../src/redis/redis-slots.ts';
import { findFreePort, startRedis, type RedisServer } from './redis-server.ts';

/** One node, and a connection to it for what no application does. */
export interface ClusterNode {
  readonly server: RedisServer;
  readonly control: RedisClientType;
  readonly id: string;
}

/** Three masters with a third of the slots each, and a replica of the first, which is the last node. */
export interface RedisCluster {
  readonly url: string;
  readonly nodes: readonly ClusterNode[];
  /** The node that has a key's slot. */
  ownerOf(key: string): Promise<ClusterNode>;
  /** Moves the slot of a key with all that is in it, as resharding does: key by key, while it is used. */
  moveSlot(key: string, to: ClusterNode): Promise<void>;
  stop(): Promise<void>;
}

const waitMs = { timeout: 30_000, interval: 50 };
const ranges = [
  ['0', '5460'],
  ['5461', '10922'],
  ['10923', '16383'],
] as const;

/** Starts a cluster on loopback. */
export async function startRedisCluster(): Promise<RedisCluster> {
  const nodes: ClusterNode[] = [];
  const stop = async (): Promise<void> => {
    for (const { control, server } of nodes) {
      control.destroy();
      await server.stop();
    }
  };
  try {
    for (let count = 0; count < 4; count += 1) nodes.push(await startNode(nodes[0]));
    for (const [index, range] of ranges.entries())
      await nodes[index]?.control.sendCommand(['CLUSTER', 'ADDSLOTSRANGE', ...range]);
    await vi.waitUntil(async () => (await Promise.all(nodes.map(knowsAll))).every(Boolean), waitMs);
    await nodes[3]?.control.sendCommand(['CLUSTER', 'REPLICATE', nodes[0]?.id ?? '']);
    await vi.waitUntil(async () => (await Promise.all(nodes.map(knowsReplica))).every(Boolean), waitMs);
    await vi.waitUntil(async () => hasItsMasterData(nodes[3]), waitMs);
  } catch (error) {
    await stop();
    throw error;
  }
  const ownerOf = async (key: string): Promise<ClusterNode> => {
    for (const node of nodes) {
      const port = await findOwnerPort(node, toSlot(key));
      const owner = nodes.find(({ server }) => server.port === port);
      if (owner !== undefined) return owner;
    }
    throw new Error(`nobody has the slot of ${key}`);
  };
  return {
    url: `redis+cluster://${nodes.map(({ server }) => `127.0.0.1:${server.port}`).join(',')}`,
    nodes,
    ownerOf,
    moveSlot: async (key, to) => {
      await moveSlot(toSlot(key), { from: await ownerOf(key), to });
      // Until all know it, one of them may refuse its vote to a replica that still claims the slot.
      const know = async (): Promise<boolean> => {
        const ports = await Promise.all(nodes.map((node) => findOwnerPort(node, toSlot(key))));
        return ports.every((port) => port === to.server.port);
      };
      await vi.waitUntil(know, waitMs);
    },
    stop,
  };
}

/** Whose the slot is as one node knows it. */
async function findOwnerPort({ control }: ClusterNode, slot: number): Promise<number | undefined> {
  const owned = await control.sendCommand<unknown>(['CLUSTER', 'SLOTS']);
  // Rows of first slot, last slot and nodes, the master first.
  const rows = owned as [number, number, [string, number]][];
  return rows.find(([first, last]) => first <= slot && slot <= last)?.[2][1];
}

async function startNode(first: ClusterNode | undefined): Promise<ClusterNode> {
  const busPort = await findFreePort();
  const server = await startRedis({
    settings: [
      ['cluster-enabled', 'yes'],
      ['cluster-port', String(busPort)],
      // A busy machine lets a node wait for its turn; that is not its death.
      ['cluster-node-timeout', '2000'],
      ['cluster-require-full-coverage', 'no'],
      // The replica stays with its master, and may take its place however long it had to wait for its turn.
      ['cluster-allow-replica-migration', 'no'],
      ['cluster-replica-validity-factor', '0'],
    ],
  });
  const control = createClient({ url: server.url }) as RedisClientType;
  control.on('error', () => undefined);
  await control.connect();
  if (first !== undefined)
    await first.control.sendCommand(['CLUSTER', 'MEET', '127.0.0.1', String(server.port), String(busPort)]);
  return { server, control, id: await control.sendCommand<string>(['CLUSTER', 'MYID']) };
}

async function knowsAll({ control }: ClusterNode): Promise<boolean> {
  const slots = await control.sendCommand<readonly unknown[]>(['CLUSTER', 'SLOTS']);
  const info = await control.sendCommand<string>(['CLUSTER', 'INFO']);
  return slots.length === ranges.length && info.includes('cluster_known_nodes:4');
}

/** Others give their vote only to one they know as the replica. */
async function knowsReplica({ control }: ClusterNode): Promise<boolean> {
  const rows = await control.sendCommand<string>(['CLUSTER', 'NODES']);
  return rows.split('\n').filter((row) => row.includes('slave')).length === 1;
}

async function hasItsMasterData(replica: ClusterNode | undefined): Promise<boolean> {
  const info = await replica?.control.sendCommand<string>(['INFO', 'replication']);
  return info?.includes('master_link_status:up') ?? false;
}

async function moveSlot(
  slot: number,
  { from, to }: { readonly from: ClusterNode; readonly to: ClusterNode },
): Promise<void> {
  const set = (node: ClusterNode, ...words: string[]): Promise<unknown> =>
    node.control.sendCommand(['CLUSTER', 'SETSLOT', String(slot), ...words]);
  await set(to, 'IMPORTING', from.id);
  await set(from, 'MIGRATING', to.id);
  for (;;) {
    const keys = await from.control.sendCommand<string[]>(['CLUSTER', 'GETKEYSINSLOT', String(slot), '100']);
    if (keys.length === 0) break;
    const target = ['127.0.0.1', String(to.server.port), '', '0', '5000', 'KEYS'];
    await from.control.sendCommand(['MIGRATE', ...target, ...keys]);
  }
  for (const node of [to, from]) await set(node, 'NODE', to.id);
}
