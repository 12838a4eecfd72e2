/**
 * Three instances on one Redis against a model that is one map: whatever is done, through whichever instance, in whatever
 * order, a client sees what it would see of a single server that never stops.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import * as z from 'zod';
import { loadConfig } from '../../src/config/load-config.ts';
import { createHost, type Host } from '../../src/host.ts';
import { defineServer, defineTool } from '../../src/mcp/server-definition.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import {
  collectEvents,
  getStream,
  postLegacy,
  readMessage,
  type Target,
  toHeaders,
  toMessages,
  type WireEvent,
  type WireMessage,
} from '../e2e/wire.ts';
import '../property-seed.ts';
import { startRedis, type RedisServer } from '../redis-server.ts';

const instanceCount = 3;
const resources = ['test://one', 'test://two'] as const;
const logger = createLogger({ level: 'silent' });
const patience = { timeout: 15_000, interval: 5 };
const owners = ['ada', 'bob'] as const;
type Owner = (typeof owners)[number];

const server = defineServer({
  name: 'model',
  version: '1.0.0',
  tools: [
    defineTool({
      name: 'add',
      description: 'Adds one to what the session has counted.',
      input: z.object({}),
      handler: async (_, { session }) =>
        String(await session?.update<number>('count', (count = 0) => count + 1)),
    }),
    defineTool({
      name: 'ask',
      description: 'Asks for a name and greets.',
      input: z.object({}),
      handler: async (_, context) => {
        const answer = await context.elicit('Who?', z.object({ name: z.string() }));
        return answer.action === 'accept' ? `hello ${answer.content.name}` : answer.action;
      },
    }),
  ],
  resources: resources.map((uri) => ({ uri, name: uri, read: () => uri })),
});

/** What a client knows of a session. */
interface ModelSession {
  readonly owner: Owner;
  count: number;
  readonly subscribed: Set<string>;
  stream: 'none' | 'open' | 'away';
  /** Of the stream that is open. */
  instance: number;
  /** Changed while the stream was away. */
  readonly owed: Set<string>;
}

interface Model {
  readonly sessions: Map<number, ModelSession>;
  opened: number;
}

interface Connection {
  readonly events: WireEvent[];
  readonly abort: AbortController;
  readonly ended: Promise<unknown>;
}

interface RealSession {
  readonly id: string;
  readonly key: string;
  connection: Connection | undefined;
  /** The last event id that the client saw, and all of them. */
  lastEventId: string | undefined;
  readonly seen: string[];
}

interface Real {
  readonly fleet: Fleet;
  readonly sessions: Map<number, RealSession>;
}

type Command = fc.AsyncCommand<Model, Real>;

/** Instances that can be stopped and started again. */
interface Fleet {
  readonly hosts: Host[];
  readonly urls: string[];
  readonly keys: Readonly<Record<Owner, string>>;
  restart(index: number): Promise<void>;
  close(): Promise<void>;
}

let redis: RedisServer;
let fleet: Fleet;

beforeAll(async () => {
  redis = await startRedis();
  fleet = await startHosts(redis.url);
});
afterAll(async () => {
  await fleet?.close();
  await redis?.stop();
});

async function startHosts(redisUrl: string): Promise<Fleet> {
  const dataDir = mkdtempSync(join(tmpdir(), 'mooring-model-'));
  const hosts: Host[] = [];
  const urls: string[] = [];
  const start = async (index: number): Promise<void> => {
    const loaded = await loadConfig({
      environment: {
        PORT: '0',
        DATA_DIR: dataDir,
        REDIS_URL: redisUrl,
        ENCRYPTION_KEY: 'ab'.repeat(32),
        INSTANCES: String(instanceCount),
        SHUTDOWN_GRACE_MS: '2000',
        SSE_RETRY_MS: '50',
      },
      workingDir: dataDir,
    });
    const host = await createHost({ server, ...loaded, logger });
    hosts[index] = host;
    urls[index] = (await host.listen()).url;
  };
  for (let index = 0; index < instanceCount; index += 1) await start(index);
  const [first] = hosts;
  const { identity, firstRun } = first as Host;
  const other = await identity?.keys.create(
    { kind: 'operator' },
    { tenantId: firstRun?.tenant.id ?? '', name: 'bob', scopes: ['*'], role: 'merchant' },
  );
  return {
    hosts,
    urls,
    keys: { ada: firstRun?.secret ?? '', bob: other?.secret ?? '' },
    restart: async (index) => {
      await hosts[index]?.close();
      await start(index);
    },
    close: async () => {
      await Promise.all(hosts.map((host) => host.close()));
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

function toTarget({ fleet: { urls, keys } }: Real, instance: number, owner: Owner): Target {
  return { url: urls[instance] ?? '', key: keys[owner] };
}

/** The session that a number picks of those that are open. */
function pick(model: Model, number: number): readonly [number, ModelSession] {
  const all = [...model.sessions];
  const found = all[number % all.length];
  if (found === undefined) throw new Error('checked before: there is one');
  return found;
}

function find(real: Real, index: number): RealSession {
  const session = real.sessions.get(index);
  if (session === undefined) throw new Error(`session ${index} was opened`);
  return session;
}

async function call(target: Target, session: string, name: string): Promise<string | undefined> {
  const params = { name, arguments: {} };
  const { result } = await readMessage(
    await postLegacy(target, session, { id: 1, method: 'tools/call', params }),
  );
  return (result?.['content'] as readonly { readonly text: string }[] | undefined)?.[0]?.text;
}

/** URIs that a connection was told to have changed. */
function toUpdated(events: readonly WireEvent[]): readonly string[] {
  return toMessages(events)
    .map(({ data }) => JSON.parse(data) as WireMessage)
    .filter(({ method }) => method === 'notifications/resources/updated')
    .map(({ params }) => String(params?.['uri']));
}

/** Ends a connection at the client's side, which remembers what it saw. */
async function disconnect(session: RealSession): Promise<void> {
  const { connection } = session;
  if (connection === undefined) return;
  connection.abort.abort();
  await connection.ended;
  remember(session, connection);
  session.connection = undefined;
}

function remember(session: RealSession, { events }: Connection): void {
  const ids = events.flatMap(({ id }) => (id === undefined ? [] : [id]));
  session.lastEventId = ids.at(-1) ?? session.lastEventId;
  // What carries a message is seen once, however often the client came back.
  session.seen.push(...toMessages(events).flatMap(({ id }) => (id === undefined ? [] : [id])));
  expect(new Set(session.seen).size).toBe(session.seen.length);
}

async function connect(target: Target, session: RealSession): Promise<void> {
  const abort = new AbortController();
  const reply = await getStream(target, session.id, {
    signal: abort.signal,
    ...(session.lastEventId !== undefined && { lastEventId: session.lastEventId }),
  });
  expect(reply.status).toBe(200);
  const { events, ended } = collectEvents(reply);
  session.connection = { events, abort, ended };
  // From its first event on there is something to come back for.
  await vi.waitFor(() => expect(events.length).toBeGreaterThan(0), patience);
}

class Open implements Command {
  readonly owner: Owner;
  readonly instance: number;
  constructor(owner: Owner, instance: number) {
    this.owner = owner;
    this.instance = instance;
  }
  check = ({ sessions }: Readonly<Model>): boolean => sessions.size < 4;
  async run(model: Model, real: Real): Promise<void> {
    const { url, key } = toTarget(real, this.instance, this.owner);
    const params = {
      protocolVersion: '2025-11-25',
      capabilities: { elicitation: {} },
      clientInfo: { name: 'model', version: '1' },
    };
    const reply = await fetch(url, {
      method: 'POST',
      headers: toHeaders(key),
      body: JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'initialize', params }),
    });
    const id = reply.headers.get('mcp-session-id') ?? '';
    expect([reply.status, id.length > 0]).toEqual([200, true]);
    await reply.text();
    const index = model.opened;
    model.opened += 1;
    const none = { count: 0, subscribed: new Set<string>(), owed: new Set<string>(), instance: 0 };
    model.sessions.set(index, { owner: this.owner, stream: 'none', ...none });
    real.sessions.set(index, { id, key, connection: undefined, lastEventId: undefined, seen: [] });
  }
  toString = (): string => `open(${this.owner} at ${this.instance})`;
}

/** Everything else is of one open session, through one instance. */
abstract class OfSession implements Command {
  readonly number: number;
  readonly instance: number;
  constructor(number: number, instance: number) {
    this.number = number;
    this.instance = instance;
  }
  check(model: Readonly<Model>): boolean {
    return model.sessions.size > 0 && this.isDue(pick(model, this.number)[1]);
  }
  isDue(_session: ModelSession): boolean {
    return true;
  }
  async run(model: Model, real: Real): Promise<void> {
    const [index, session] = pick(model, this.number);
    const target = toTarget(real, this.instance, session.owner);
    await this.act({ index, session, own: find(real, index), target, model, real });
  }
  abstract act(scene: Scene): Promise<void>;
  toString(): string {
    return `${this.constructor.name}(${this.number} at ${this.instance})`;
  }
}

interface Scene {
  readonly index: number;
  readonly session: ModelSession;
  readonly own: RealSession;
  readonly target: Target;
  readonly model: Model;
  readonly real: Real;
}

class Add extends OfSession {
  async act({ session, own, target }: Scene): Promise<void> {
    session.count += 1;
    expect(await call(target, own.id, 'add')).toBe(String(session.count));
  }
}

class AddEverywhereAtOnce extends OfSession {
  async act({ session, own, real }: Scene): Promise<void> {
    const counts = await Promise.all(
      real.fleet.urls.map((_, instance) => call(toTarget(real, instance, session.owner), own.id, 'add')),
    );
    const expected = real.fleet.urls.map((_, index) => String(session.count + 1 + index));
    expect(counts.toSorted((a, b) => Number(a) - Number(b))).toEqual(expected);
    session.count += instanceCount;
  }
}

class Trespass extends OfSession {
  async act({ session, own, real }: Scene): Promise<void> {
    const foreign = toTarget(real, this.instance, session.owner === 'ada' ? 'bob' : 'ada');
    const reply = await postLegacy(foreign, own.id, { id: 1, method: 'ping' });
    expect(reply.status).toBe(404);
    await reply.text();
  }
}

class Ask extends OfSession {
  async act({ own, target, session, real }: Scene): Promise<void> {
    const params = { name: 'ask', arguments: {} };
    const reply = await postLegacy(target, own.id, { id: 1, method: 'tools/call', params });
    const { events, ended } = collectEvents(reply);
    const isQuestion = ({ data }: WireEvent): boolean => data.includes('elicitation/create');
    await vi.waitFor(() => expect(events.some(isQuestion)).toBe(true), patience);
    const { id } = JSON.parse(events.find(isQuestion)?.data ?? '{}') as WireMessage;
    const elsewhere = toTarget(real, (this.instance + 1) % instanceCount, session.owner);
    const answer = await fetch(elsewhere.url, {
      method: 'POST',
      headers: toHeaders(elsewhere.key, { 'Mcp-Session-Id': own.id, 'MCP-Protocol-Version': '2025-11-25' }),
      body: JSON.stringify({ jsonrpc: '2.0', id, result: { action: 'accept', content: { name: 'Ada' } } }),
    });
    expect(answer.status).toBe(202);
    await ended;
    expect(events.at(-1)?.data).toContain('hello Ada');
  }
}

class Subscribe extends OfSession {
  async act({ session, own, target }: Scene): Promise<void> {
    const uri = resources[this.number % resources.length] ?? resources[0];
    const isOn = session.subscribed.has(uri);
    const method = isOn ? 'resources/unsubscribe' : 'resources/subscribe';
    const reply = await postLegacy(target, own.id, { id: 1, method, params: { uri } });
    expect((await readMessage(reply)).error).toBeUndefined();
    if (isOn) session.subscribed.delete(uri);
    else session.subscribed.add(uri);
    // What the client does not want any more it need not be told.
    if (isOn) session.owed.delete(uri);
  }
}

class Listen extends OfSession {
  override isDue = ({ stream }: ModelSession): boolean => stream === 'none';
  async act({ session, own, target }: Scene): Promise<void> {
    await connect(target, own);
    session.stream = 'open';
    session.instance = this.instance;
  }
}

class Disconnect extends OfSession {
  override isDue = ({ stream }: ModelSession): boolean => stream === 'open';
  async act({ session, own }: Scene): Promise<void> {
    await disconnect(own);
    session.stream = 'away';
  }
}

class Resume extends OfSession {
  override isDue = ({ stream }: ModelSession): boolean => stream === 'away';
  async act({ session, own, target }: Scene): Promise<void> {
    await connect(target, own);
    const events = own.connection?.events ?? [];
    await vi.waitFor(
      () => expect(toUpdated(events)).toEqual(expect.arrayContaining([...session.owed])),
      patience,
    );
    session.owed.clear();
    session.stream = 'open';
    session.instance = this.instance;
  }
}

class End extends OfSession {
  async act({ index, own, target, model, real }: Scene): Promise<void> {
    const reply = await fetch(target.url, {
      method: 'DELETE',
      headers: toHeaders(target.key, { 'Mcp-Session-Id': own.id }),
    });
    expect(reply.ok).toBe(true);
    await reply.text();
    // Its stream is ended, wherever it is.
    await own.connection?.ended;
    for (const url of real.fleet.urls) {
      const after = await postLegacy({ ...target, url }, own.id, { id: 1, method: 'ping' });
      expect(after.status).toBe(404);
      await after.text();
    }
    model.sessions.delete(index);
    real.sessions.delete(index);
  }
}

class Change implements Command {
  readonly uri: string;
  readonly instance: number;
  constructor(uri: string, instance: number) {
    this.uri = uri;
    this.instance = instance;
  }
  check = (): boolean => true;
  async run({ sessions }: Model, real: Real): Promise<void> {
    const { uri } = this;
    const count = (index: number): number =>
      toUpdated(find(real, index).connection?.events ?? []).filter((each) => each === uri).length;
    const listening = [...sessions].filter(([, each]) => each.stream === 'open');
    const before = new Map(listening.map(([index]) => [index, count(index)]));
    await real.fleet.hosts[this.instance]?.publish({ kind: 'resource_updated', uri, tenantId: undefined });
    for (const [index, session] of sessions) {
      if (!session.subscribed.has(uri)) continue;
      if (session.stream === 'away') session.owed.add(uri);
      if (session.stream !== 'open') continue;
      await vi.waitFor(() => expect(count(index)).toBeGreaterThan(before.get(index) ?? 0), patience);
    }
    // Whoever did not ask was not told.
    for (const [index, session] of listening)
      if (!session.subscribed.has(uri)) expect(count(index)).toBe(before.get(index));
  }
  toString = (): string => `change(${this.uri} at ${this.instance})`;
}

class Restart implements Command {
  readonly instance: number;
  constructor(instance: number) {
    this.instance = instance;
  }
  check = (): boolean => true;
  async run({ sessions }: Model, real: Real): Promise<void> {
    await real.fleet.restart(this.instance);
    for (const [index, session] of sessions) {
      if (session.stream !== 'open' || session.instance !== this.instance) continue;
      const own = find(real, index);
      await own.connection?.ended;
      await disconnect(own);
      session.stream = 'away';
    }
  }
  toString = (): string => `restart(${this.instance})`;
}

const instance = fc.nat({ max: instanceCount - 1 });
const number = fc.nat({ max: 3 });
const ofSessions = [Add, AddEverywhereAtOnce, Trespass, Ask, Subscribe, Listen, Disconnect, Resume, End].map(
  (Kind) => fc.tuple(number, instance).map(([of, at]): Command => new Kind(of, at)),
);
const changes = fc.tuple(fc.constantFrom(...resources), instance).map(([uri, at]) => new Change(uri, at));
const commands = [
  fc.tuple(fc.constantFrom(...owners), instance).map(([owner, at]) => new Open(owner, at)),
  // It takes as long as everything else together.
  fc.tuple(instance, fc.boolean()).map(([at, isDue]): Command => (isDue ? new Restart(at) : new Add(0, at))),
  changes,
  changes,
  ...ofSessions,
];
/** So that every run has somebody to tell of changes. */
const prelude: readonly Command[] = [
  new Open('ada', 0),
  new Open('bob', 1),
  new Subscribe(0, 1),
  new Subscribe(1, 2),
  new Listen(0, 0),
  new Listen(1, 1),
];

test('any instance, any request, any order: a client sees one server that never stops', async () => {
  await fc.assert(
    fc.asyncProperty(fc.commands(commands, { maxCommands: 50, size: 'max' }), async (sequence) => {
      const sessions = new Map<number, RealSession>();
      const setup = async () => {
        const model = { sessions: new Map<number, ModelSession>(), opened: 0 };
        const real = { fleet, sessions };
        for (const command of prelude) await command.run(model, real);
        return { model, real };
      };
      try {
        await fc.asyncModelRun(setup, sequence);
      } finally {
        for (const session of sessions.values()) await disconnect(session);
      }
    }),
    { numRuns: 25, endOnFailure: true },
  );
}, 240_000);
