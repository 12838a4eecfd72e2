import { setImmediate as nextTurn } from 'node:timers/promises';
import type { McpServerFactory } from '@modelcontextprotocol/server';
import { ProtocolError, protocolErrorCodes, RequestError, UpstreamError } from '../errors.ts';
import type { DispatchTarget, Exchange, FeatureRequest } from '../mcp/dispatch-target.ts';
import type { JsonRpcNotification } from '../mcp/protocol-types.ts';
import type { SealedBox } from '../mcp/sealed-box.ts';
import type { Logger } from '../telemetry/logger.ts';
import { BuildTimes, slowBuildMs, trialBuilds } from './build-times.ts';
import { toAuthInfo } from './caller.ts';
import { ClosingQueue } from './closing-queue.ts';
import { HostedExchange } from './hosted-exchange.ts';
import { InstanceSource } from './instance-source.ts';
import { dismiss, learnServer } from './learn-server.ts';
import type { LearnedServer } from './learn-server.ts';
import { NotificationVisits } from './notification-visits.ts';
import { defaultStateTtlSeconds, RequestStates } from './request-state.ts';
import { ToolHeaders } from './tool-headers.ts';

/** The part of the host's log that hosting needs. */
export type SdkLogger = Pick<Logger, 'warn' | 'error'>;

/** How a server of the official SDK is hosted. */
export interface SdkTargetOptions {
  /** Seals what a server lets the client keep between the rounds of a request. */
  readonly box: SealedBox;
  /** How long a sealed state may take to come back. Default 3600. */
  readonly stateTtlSeconds?: number;
  /** Told to handlers and in scope challenges. RFC 9728. */
  readonly resourceMetadataUrl?: string;
  /**
   * Told what the operator or the author should know: `sdk.factory_slow`, `sdk.version_refused`, `sdk.eras_differ`,
   * `sdk.header_invalid`, `sdk.publish_failed`, `sdk.close_failed`, `sdk.notification_failed`. Default: nobody.
   */
  readonly logger?: SdkLogger;
  /** Milliseconds that only grow. Default `performance.now`. */
  readonly now?: () => number;
}

/**
 * Hosts a server written with the official SDK, unchanged: a fresh instance for every exchange, told who its client
 * is, and closed afterwards.
 *
 * @param factory makes a new instance in every call; what it shares between them, callers share
 * @throws UpstreamError when the factory fails
 * @throws TypeError when it returns something else, or the same instance twice
 */
export async function createSdkTarget(
  factory: McpServerFactory,
  options: SdkTargetOptions,
): Promise<DispatchTarget> {
  const logger = options.logger ?? silent;
  const source = new InstanceSource(factory);
  const times = new BuildTimes(options.now ?? ((): number => performance.now()));
  const learned = await learnServer((era) => times.time(() => source.create(era, undefined)));
  for (let build = 2; build < trialBuilds; build += 1) {
    await dismiss(await times.time(() => source.create('legacy', undefined)));
  }
  const headers = new ToolHeaders((problem) => logger.warn('sdk.header_invalid', { problem }));
  headers.learn(learned.tools);
  report(learned, times, logger);
  return new SdkTarget(source, learned, headers, { ...options, logger });
}

class SdkTarget implements DispatchTarget {
  readonly serverInfo: LearnedServer['serverInfo'];
  readonly instructions: string | undefined;
  readonly capabilities: LearnedServer['capabilities'];
  readonly ownsRequestState = true;

  readonly #source: InstanceSource;
  readonly #headers: ToolHeaders;
  readonly #states: RequestStates;
  readonly #logger: SdkLogger;
  readonly #resourceMetadataUrl: string | undefined;
  readonly #visits = new NotificationVisits();
  readonly #closing = new ClosingQueue((hosted) => this.#close(hosted));

  constructor(
    source: InstanceSource,
    learned: LearnedServer,
    headers: ToolHeaders,
    options: SdkTargetOptions & { readonly logger: SdkLogger },
  ) {
    this.serverInfo = learned.serverInfo;
    this.instructions = learned.instructions;
    this.capabilities = learned.capabilities;
    this.#source = source;
    this.#headers = headers;
    this.#states = new RequestStates(options.box, options.stateTtlSeconds ?? defaultStateTtlSeconds);
    this.#logger = options.logger;
    this.#resourceMetadataUrl = options.resourceMetadataUrl;
  }

  async dispatch(request: FeatureRequest, exchange: Exchange): Promise<string> {
    const isModern = exchange.era === 'modern';
    const state = isModern ? this.#states.open(request, exchange) : undefined;
    if (exchange.signal.aborted) throw toCancellation(exchange.signal);
    const hosted = await this.#create(exchange);
    const onAbort = (): void => void this.#cancel(hosted, exchange.signal);
    exchange.signal.addEventListener('abort', onAbort, { once: true });
    try {
      if (exchange.signal.aborted) throw toCancellation(exchange.signal);
      await hosted.connect();
      if (request.method === 'tools/call' && exchange.parameterHeaders !== undefined && isModern) {
        await this.#headers.check(request, exchange.parameterHeaders, hosted.listTools);
      }
      const result = await hosted.request(request, state);
      return JSON.stringify(isModern ? this.#states.sealIn(result, request, exchange) : result);
    } catch (error) {
      throw exchange.signal.aborted ? toCancellation(exchange.signal) : error;
    } finally {
      exchange.signal.removeEventListener('abort', onAbort);
      this.#closing.add(hosted);
    }
  }

  notified(notification: JsonRpcNotification, exchange: Exchange): void {
    this.#visit(notification, exchange).catch((error: unknown) => {
      this.#logger.error('sdk.notification_failed', { requestId: exchange.requestId }, error);
    });
  }

  async close(): Promise<void> {
    await Promise.all([this.#visits.close(), this.#closing.drain()]);
  }

  async #create(exchange: Exchange): Promise<HostedExchange> {
    const authInfo = toAuthInfo(exchange.principal, this.#resourceMetadataUrl);
    const instance = await this.#source.create(exchange.era, authInfo);
    return new HostedExchange(instance, exchange, authInfo, (error) => {
      this.#logger.error('sdk.publish_failed', { requestId: exchange.requestId }, error);
    });
  }

  async #visit(notification: JsonRpcNotification, exchange: Exchange): Promise<void> {
    const hosted = await this.#create(exchange);
    try {
      await hosted.connect();
      hosted.notify(notification);
    } catch (error) {
      await this.#close(hosted);
      throw error;
    }
    this.#visits.add(hosted);
  }

  async #cancel(hosted: HostedExchange, signal: AbortSignal): Promise<void> {
    hosted.cancel(toCancellation(signal).message);
    // The SDK reads the notification in a later turn; closing at once would give handlers another reason.
    await nextTurn();
    await this.#close(hosted);
  }

  /** The answer stands whatever the author's own `close` or `onclose` does. */
  async #close(hosted: HostedExchange): Promise<void> {
    try {
      await hosted.close();
    } catch (error) {
      this.#logger.error('sdk.close_failed', {}, error);
    }
  }
}

const silent: SdkLogger = { warn: () => undefined, error: () => undefined };

function toCancellation(signal: AbortSignal): Error {
  const reason: unknown = signal.reason;
  if (reason instanceof ProtocolError || reason instanceof RequestError || reason instanceof UpstreamError)
    return reason;
  return new ProtocolError(protocolErrorCodes.internalError, 'Request cancelled');
}

function report(learned: LearnedServer, times: BuildTimes, logger: SdkLogger): void {
  if (times.fastestMs > slowBuildMs) {
    const advice = 'The server factory runs for every request; build schemas and clients once, outside it';
    logger.warn('sdk.factory_slow', { fastestMs: times.fastestMs, limitMs: slowBuildMs, advice });
  }
  for (const version of learned.refusedVersions) logger.warn('sdk.version_refused', { version });
  if (!learned.isSameInBothEras) {
    logger.warn('sdk.eras_differ', {
      advice: 'The server tells other capabilities in each era; the legacy ones are told in both',
    });
  }
}
