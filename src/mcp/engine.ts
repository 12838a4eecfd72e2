/**
 * The engine: one JSON-RPC message in, its answer out, in both eras, whatever carries it. It knows nothing of HTTP or
 * stdio; those hand it messages and a way to send some ahead of the answer.
 */
import type { Claims } from '../sessions/claims.ts';
import type { EventLog } from '../sessions/event-log.ts';
import type { Instances } from '../sessions/instances.ts';
import type { MessageBus } from '../sessions/message-bus.ts';
import type { SessionStore } from '../sessions/session-store.ts';
import type { Logger } from '../telemetry/logger.ts';
import { createCallsInFlight, type CallsInFlight } from './calls-in-flight.ts';
import { createChangeFeed, type ChangeFeed } from './change-feed.ts';
import { createClientAnswers, type ClientAnswers } from './client-answers.ts';
import type { DispatchTarget } from './dispatch-target.ts';
import { createOpenStreams, type OpenStreams } from './open-streams.ts';
import type { SealedBox } from './sealed-box.ts';

/** Bounds of an engine. All durations in milliseconds unless the name says otherwise. */
export interface EngineLimits {
  /** Absolute life of a legacy session. */
  readonly sessionTtlMs: number;
  /** A call still running then becomes a stream. */
  readonly streamAfterMs: number;
  /** When a client whose connection we end should come back. */
  readonly retryMs: number;
  readonly keepAliveMs: number;
  /** How often an open stream of a session touches it, and looks for what it was not told of. */
  readonly lookMs: number;
  /** A call still running then is cancelled; 0 for never. */
  readonly callTimeoutMs: number;
  /** How long a legacy call waits for its client's answer. */
  readonly questionTimeoutMs: number;
  readonly maxStreamsPerPrincipal: number;
  readonly requestStateTtlSeconds: number;
}

/** What an engine is made of. */
export interface EngineOptions {
  /** Unique among the instances of one server; letters, digits, `-` and `_`. */
  readonly instanceId: string;
  readonly target: DispatchTarget;
  readonly sessions: SessionStore;
  readonly events: EventLog;
  readonly bus: MessageBus;
  readonly instances: Instances;
  readonly claims: Claims;
  readonly box: SealedBox;
  readonly logger: Logger;
  readonly limits: EngineLimits;
  /** Extensions that the host itself has, by identifier, beside the server's own. Default: none. */
  readonly extensions?: Extensions;
  readonly now?: () => number;
}

/** As `server/discover` tells them. MCP 2026-07-28, Base Protocol, Extensions. */
export type Extensions = NonNullable<DispatchTarget['capabilities']['extensions']>;

/** The parts that both eras work with. */
export interface Engine extends Required<EngineOptions> {
  readonly calls: CallsInFlight;
  readonly answers: ClientAnswers;
  readonly changes: ChangeFeed;
  readonly streams: OpenStreams;
  /** Ends streams and, after `graceMs`, the calls still running; then nothing of the engine is left. */
  stop(graceMs: number): Promise<void>;
}

/** Starts an engine. It holds timers and bus subscriptions until `stop`. */
export async function createEngine(options: EngineOptions): Promise<Engine> {
  const { bus, instanceId, limits, now = Date.now } = options;
  const calls = await createCallsInFlight({
    bus,
    streamAfterMs: limits.streamAfterMs,
    timeoutMs: limits.callTimeoutMs,
    now,
  });
  const answers = await createClientAnswers({ bus, instanceId, timeoutMs: limits.questionTimeoutMs });
  const changes = await createChangeFeed(bus);
  const streams = createOpenStreams({
    maxPerPrincipal: limits.maxStreamsPerPrincipal,
    keepAliveMs: limits.keepAliveMs,
    lookMs: limits.lookMs,
  });
  const stopHearing = bus.onGap(() => {
    streams.look();
  });
  return {
    extensions: {},
    ...options,
    now,
    calls,
    answers,
    changes,
    streams,
    stop: async (graceMs) => {
      stopHearing();
      streams.stop();
      await calls.drain(graceMs);
      await Promise.all([calls.close(), answers.close(), changes.close()]);
    },
  };
}
