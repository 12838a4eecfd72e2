/** What tests of this folder and of the endpoints share: an engine on memory stores, which the test's end stops. */
import { randomBytes } from 'node:crypto';
import { onTestFinished } from 'vitest';
import type { Principal } from '../auth/principal.ts';
import type { Claims } from '../sessions/claims.ts';
import type { EventLog } from '../sessions/event-log.ts';
import type { Instances } from '../sessions/instances.ts';
import { createMemoryClaims } from '../sessions/memory-claims.ts';
import { createMemoryEventLog } from '../sessions/memory-event-log.ts';
import { createMemoryMessageBus } from '../sessions/memory-message-bus.ts';
import { createMemorySessionStore } from '../sessions/memory-session-store.ts';
import type { MessageBus } from '../sessions/message-bus.ts';
import type { SessionStore } from '../sessions/session-store.ts';
import type { Logger } from '../telemetry/logger.ts';
import { compileServer } from './compiled-server.ts';
import type { DispatchTarget } from './dispatch-target.ts';
import { createEngine, type Engine, type EngineLimits } from './engine.ts';
import { createSealedBox, type SealedBox } from './sealed-box.ts';
import { defineServer, type ServerDefinitionInput } from './server-definition.ts';

/** One line that was logged. */
export interface LoggedLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly event: string;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly error: unknown;
}

/** A logger whose lines are a list. */
export function createListLogger(lines: LoggedLine[]): Logger {
  const at =
    (level: LoggedLine['level']) =>
    (event: string, fields: LoggedLine['fields'] = {}, error?: unknown): void => {
      lines.push({ level, event, fields, error });
    };
  const logger: Logger = {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: () => logger,
    isEnabled: () => true,
    flush: () => Promise.resolve(),
  };
  return logger;
}

/** What instances of one server share. */
export interface SharedStores {
  readonly sessions: SessionStore;
  readonly events: EventLog;
  readonly bus: MessageBus;
  readonly instances: Instances;
  readonly claims: Claims;
  readonly box: SealedBox;
}

/** Memory stores for one or more engines. */
export function createSharedStores(
  options: { maxPerPrincipal?: number; maxEventsPerStream?: number; now?: () => number } = {},
): SharedStores {
  const { maxPerPrincipal = 100, maxEventsPerStream = 1000, now = Date.now } = options;
  return {
    sessions: createMemorySessionStore({ idleTtlMs: 3_600_000, maxPerPrincipal, now }),
    events: createMemoryEventLog({ maxEventsPerStream, now }),
    bus: createMemoryMessageBus({
      onError: (error) => {
        throw error;
      },
    }),
    // All engines of a test live until its end.
    instances: {
      announce: async () => {},
      isAlive: async () => true,
      count: async () => 1,
      close: async () => {},
    },
    claims: createMemoryClaims({ now }),
    box: createSealedBox({ keys: [{ id: 'test', key: randomBytes(32) }], now }),
  };
}

/** What an engine for a test may differ in. */
export interface TestEngineOptions {
  readonly shared?: SharedStores;
  readonly instanceId?: string;
  readonly limits?: Partial<EngineLimits>;
  readonly now?: () => number;
}

/** An engine and what it logged. */
export interface TestEngine {
  readonly engine: Engine;
  readonly lines: LoggedLine[];
}

/** Limits under which nothing happens by itself within a test. */
export const patientLimits: EngineLimits = {
  sessionTtlMs: 3_600_000,
  streamAfterMs: 60_000,
  retryMs: 1234,
  keepAliveMs: 60_000,
  lookMs: 60_000,
  callTimeoutMs: 120_000,
  questionTimeoutMs: 60_000,
  maxStreamsPerPrincipal: 20,
  requestStateTtlSeconds: 600,
};

/** Starts an engine over a definition, or over a target made otherwise. */
export async function createTestEngine(
  served: Partial<ServerDefinitionInput> | { readonly target: DispatchTarget },
  options: TestEngineOptions = {},
): Promise<TestEngine> {
  const lines: LoggedLine[] = [];
  const engine = await createEngine({
    instanceId: options.instanceId ?? 'test',
    target:
      'target' in served
        ? served.target
        : compileServer(defineServer({ name: 'test-server', version: '1.0.0', ...served })),
    ...(options.shared ?? createSharedStores(options.now === undefined ? {} : { now: options.now })),
    logger: createListLogger(lines),
    limits: { ...patientLimits, ...options.limits },
    ...(options.now === undefined ? {} : { now: options.now }),
  });
  onTestFinished(() => engine.stop(0));
  return { engine, lines };
}

/** A key's principal; by default in a tenant of its own. */
export function createPrincipal(name: string, tenantId: string = `tenant-${name}`): Principal {
  return Object.freeze({
    kind: 'key',
    subject: name,
    credentialId: `key-${name}`,
    tenantIds: [tenantId],
    activeTenantId: tenantId,
    role: 'merchant',
    scopes: [],
  });
}

// Below the time a test may take, so that the reason is told.
const untilMs = 4000;

/** Waits for a condition; fails with its text when it does not come. */
export async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = Date.now() + untilMs;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`never came: ${what}`);
    await new Promise((resolve) => {
      setTimeout(resolve, 1);
    });
  }
}

/** Lets everything happen that needs no more than turns of the event loop. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1)
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
}

/** A promise that is settled from outside. */
export interface Gate<Value> {
  readonly passed: Promise<Value>;
  open(value: Value): void;
}

/** What a handler waits at until the test lets it on. */
export function createGate<Value = void>(): Gate<Value> {
  let open!: (value: Value) => void;
  const passed = new Promise<Value>((resolve) => {
    open = resolve;
  });
  return { passed, open };
}
