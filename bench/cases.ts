/** What is measured: which server, with how many tools, in which era. */
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import type { ServerSpec } from './server-process.ts';
import type { Era } from './wire.ts';

/** The compiled runner lives in `dist-tools/bench`. */
const compiled = new URL('.', import.meta.url);
/** The sources: the peers are plain modules, so that they find the packages installed beside them. */
export const benchFolder: string = fileURLToPath(new URL('../../bench/', compiled));

const mooringCommand = fileURLToPath(new URL('../../dist/cli/main.js', compiled));
const mooringDefinition = fileURLToPath(new URL('mooring-definition.js', compiled));

/** One line of the report. */
export interface BenchCase {
  /** `<server>/<era>/<tools>`, or `bare`. */
  readonly name: string;
  readonly server: ServerSpec;
  /** Cases with the same key share one process. */
  readonly serverKey: string;
  /** How many processes serve it, calls going to them in turns. Default 1. */
  readonly instances?: number;
  readonly era: Era;
  /** What this server's best configuration for the case is, for a reader of the table. */
  readonly note: string;
}

/** The name of the yardstick. */
export const bareName = 'bare';

interface Family {
  readonly server: string;
  readonly instances?: number;
  readonly toServer: (tools: number) => ServerSpec;
  readonly modern?: readonly number[];
  readonly legacy?: readonly number[];
  readonly modernNote?: string;
  readonly legacyNote?: string;
}

const everySize = [1, 20, 100] as const;

const families: readonly Family[] = [
  {
    server: 'mooring',
    toServer: toMooringServer,
    modern: everySize,
    legacy: everySize,
    modernNote: 'API key checked, headers and schemas validated, logged',
    legacyNote: 'the same, with a session in memory per connection',
  },
  {
    server: 'mooring-redis',
    toServer: toMooringOnRedis,
    legacy: everySize,
    legacyNote: 'the same, with sessions on Redis, sealed',
  },
  {
    server: 'mooring-redis-3',
    instances: 3,
    toServer: toMooringOnRedis,
    legacy: everySize,
    legacyNote: 'the same from three instances, each call at the next one; the CPU of all three',
  },
  {
    server: 'sdk',
    toServer: toPeer('sdk'),
    modern: everySize,
    legacy: [20],
    modernNote: 'createMcpHandler, JSON answers',
    legacyNote: 'createMcpHandler, stateless fallback, SSE answers',
  },
  {
    server: 'sdk-sessions',
    toServer: toPeer('sdk-sessions'),
    legacy: [20],
    legacyNote: 'live sessions, JSON answers',
  },
  {
    server: 'tmcp',
    toServer: toPeer('tmcp'),
    modern: everySize,
    legacy: [20],
    modernNote: 'SSE answers: it has no others',
    legacyNote: '2025-06-18, sessions in memory, SSE answers',
  },
  {
    server: 'tmcp-redis',
    toServer: (tools) => ({ ...toPeer('tmcp', 'redis')(tools), needsRedis: true }),
    legacy: [20],
    legacyNote: '2025-06-18, its session managers on Redis, SSE answers',
  },
  {
    server: 'tmcp-redis-3',
    instances: 3,
    toServer: (tools) => ({ ...toPeer('tmcp', 'redis')(tools), needsRedis: true }),
    legacy: [20],
    legacyNote: 'the same from three instances, each call at the next one; the CPU of all three',
  },
  {
    server: 'fastmcp',
    toServer: toPeer('fastmcp'),
    legacy: everySize,
    legacyNote: 'stateless, JSON answers',
  },
  {
    server: 'fastmcp-sessions',
    toServer: toPeer('fastmcp', 'sessions'),
    legacy: [20],
    legacyNote: 'live sessions, JSON answers',
  },
  {
    server: 'mcp-use',
    toServer: toPeer('mcp-use'),
    modern: everySize,
    legacy: [20],
    modernNote: 'JSON answers',
    legacyNote: 'stateless, SSE answers',
  },
  {
    server: 'mcp-handler',
    toServer: toPeer('mcp-handler'),
    modern: everySize,
    legacy: [20],
    modernNote: 'JSON answers',
    legacyNote: 'stateless, SSE answers',
  },
];

/** Every case, the yardstick first. */
export function listCases(): readonly BenchCase[] {
  const bare: BenchCase = {
    name: bareName,
    server: toPeer('bare')(1),
    serverKey: bareName,
    era: 'modern',
    note: 'node:http, JSON in and out',
  };
  const bareOfThree: BenchCase = {
    ...bare,
    name: `${bareName}-3`,
    serverKey: `${bareName}-3`,
    instances: 3,
    note: 'the same from three processes: what having three costs by itself',
  };
  return [bare, bareOfThree, ...families.flatMap(toCases)];
}

/**
 * The product's server, as every measurement starts it: the built command line, with the checks, limits and log of
 * production, SQLite and memory.
 */
export function toMooringServer(tools: number): ServerSpec {
  return {
    module: mooringCommand,
    arguments: ['start', mooringDefinition, '--port', '0'],
    environment: {
      BENCH_TOOLS: String(tools),
      ENCRYPTION_KEY: randomBytes(32).toString('hex'),
      // One key opens every session of the benchmark.
      MAX_SESSIONS_PER_PRINCIPAL: '20000',
    },
    announcement: 'text',
  };
}

/** The same with its sessions on Redis. All that are made from one spec are instances of one server. */
export function toMooringOnRedis(tools: number): ServerSpec {
  return { ...toMooringServer(tools), needsRedis: true };
}

function toCases(family: Family): readonly BenchCase[] {
  const toCase = (era: Era, tools: number, note = ''): BenchCase => ({
    name: `${family.server}/${era}/${tools}`,
    server: family.toServer(tools),
    serverKey: `${family.server}/${tools}`,
    era,
    note,
    ...(family.instances === undefined ? {} : { instances: family.instances }),
  });
  const modern = (family.modern ?? []).map((tools) => toCase('modern', tools, family.modernNote));
  const legacy = (family.legacy ?? []).map((tools) => toCase('legacy', tools, family.legacyNote));
  return [...modern, ...legacy];
}

function toPeer(name: string, ...more: string[]): (tools: number) => ServerSpec {
  const module = `${benchFolder}peers/${name}.mjs`;
  return (tools) => ({ module, arguments: [String(tools), ...more], announcement: 'message' });
}
