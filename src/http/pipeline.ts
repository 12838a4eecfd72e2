/**
 * The life of a request, up to its route's handler. `begin` runs the stages on what came before the body; `finish`
 * runs the handler once the body was read. Both answer without a promise when nothing had to be waited for.
 */
import type { Authenticator } from '../auth/authenticator.ts';
import { RequestError } from '../errors.ts';
import { createToClientAddress, type IsTrustedProxy } from './client-address.ts';
import type { EdgeLogger } from './edge-logger.ts';
import { HttpExchange, type RequestHead } from './http-exchange.ts';
import type { FullReply, HttpReply, LogFields } from './messages.ts';
import { createErrorRenderer, type ErrorRenderer } from './render-error.ts';
import type { RouteTable } from './routes.ts';
import type { Stage } from './stage.ts';
import { answerPreflight } from './stages/answer-preflight.ts';
import { createRequestIds, createRequestIdStage } from './stages/assign-request-id.ts';
import { createAuthenticateStage } from './stages/authenticate.ts';
import { createPathStage } from './stages/match-path.ts';
import { refuseBody } from './stages/refuse-body.ts';
import { refuseQueryToken } from './stages/refuse-query-token.ts';
import { requireRoute } from './stages/require-route.ts';
import { type AllowedHosts, createHostStage } from './stages/validate-host.ts';
import { type AllowedOrigins, createOriginStage } from './stages/validate-origin.ts';

/** What the pipeline depends on. */
export interface EdgeOptions {
  readonly routes: RouteTable;
  readonly authenticator: Pick<Authenticator, 'authenticate'>;
  /** Complete: nothing is added to them. */
  readonly allowedHosts: AllowedHosts;
  readonly allowedOrigins: AllowedOrigins;
  /** Absolute; see `toResourceMetadataUrl`. */
  readonly resourceMetadataUrl: string;
  /** Where clients reach this server, without a slash at the end: what a proof of possession has to name. */
  readonly publicUrl: string;
  /** The least that makes the server usable, named to who has no token yet. Default: none. */
  readonly baseScopes?: readonly string[];
  /** Signatures that proofs of possession may have. Default: none is named. */
  readonly dpopAlgorithms?: readonly string[];
  /** Whose headers say where a request comes from. Default: nobody's. */
  readonly isTrustedProxy?: IsTrustedProxy | undefined;
  readonly logger: EdgeLogger;
  /** Default: a random prefix and a counter. */
  readonly createRequestId?: () => string;
  /** Milliseconds, monotonic. Default: `performance.now`. */
  readonly now?: () => number;
}

/** Everything between an adapter (`node-server.ts`, `fetch.ts`) and the handlers. */
export interface HttpEdge {
  open(head: RequestHead): HttpExchange;
  /**
   * Runs the stages. Never throws or rejects.
   *
   * @returns a reply that refuses or already answers the request; nothing when its body is to be read, at most
   *   `exchange.route.maxBodyBytes`
   */
  begin(exchange: HttpExchange): FullReply | undefined | Promise<FullReply | undefined>;
  /** Runs the handler; `exchange.body` is set by then. Never throws or rejects. */
  finish(exchange: HttpExchange): HttpReply | Promise<HttpReply>;
  /** The reply for a request that the adapter could not read, e.g. because its body grew past the limit. */
  refuse(exchange: HttpExchange, error: unknown): FullReply;
  /** The reply for bytes that were not a request at all, or a connection that failed; logs it. */
  refuseConnection(error: unknown): { readonly reply: FullReply; readonly requestId: string };
  /** All headers of a reply but those about its framing, name and value in turns. */
  toWireHeaders(exchange: HttpExchange, reply: HttpReply): string[];
  /** Writes the request's log line; once, when the reply was handed over or its stream is over. */
  record(exchange: HttpExchange, reply: HttpReply | undefined): void;
}

interface StageRow {
  readonly name: string;
  readonly run: Stage;
}

/** The stages, in the order that every request passes them. */
export function createStages(options: EdgeOptions, createRequestId: () => string): readonly StageRow[] {
  return [
    { name: 'assign request id', run: createRequestIdStage(createRequestId) },
    { name: 'match path', run: createPathStage(options.routes) },
    { name: 'validate host', run: createHostStage(options.allowedHosts) },
    { name: 'validate origin', run: createOriginStage(options.allowedOrigins) },
    { name: 'answer preflight', run: answerPreflight },
    { name: 'require route', run: requireRoute },
    { name: 'refuse query token', run: refuseQueryToken },
    { name: 'authenticate', run: createAuthenticateStage(options.authenticator, options.publicUrl) },
    { name: 'refuse body', run: refuseBody },
  ];
}

/** The pipeline over a route table. */
export function createEdge(options: EdgeOptions): HttpEdge {
  const { logger, now = () => performance.now() } = options;
  const createRequestId = options.createRequestId ?? createRequestIds(crypto.randomUUID().slice(0, 8));
  const stages = createStages(options, createRequestId).map(({ run }) => run);
  const renderError = createErrorRenderer(options);
  const toClientAddress = createToClientAddress(options.isTrustedProxy, () => {
    logger.warn('edge.proxy_not_trusted', {});
  });

  return {
    open: (head) => new HttpExchange(head, now(), toClientAddress),
    begin: (exchange) => runStages({ stages, exchange, renderError }, 0),
    finish: (exchange) => runHandler(exchange, renderError),
    refuse: (exchange, error) => renderError(error, exchange.requestId),
    refuseConnection(error) {
      const requestId = createRequestId();
      const reply = renderError(error, requestId);
      if (logger.isEnabled('info')) {
        logger.info('request', { method: '', route: 'none', status: reply.status, requestId, ...reply.log });
      }
      return { reply, requestId };
    },
    toWireHeaders,
    record(exchange, reply) {
      if (logger.isEnabled('info')) logger.info('request', toLogFields(exchange, reply, now()));
    },
  };
}

interface Run {
  readonly stages: readonly Stage[];
  readonly exchange: HttpExchange;
  readonly renderError: ErrorRenderer;
}

function runStages(run: Run, from: number): FullReply | undefined | Promise<FullReply | undefined> {
  const { stages, exchange, renderError } = run;
  try {
    for (let index = from; index < stages.length; index += 1) {
      const outcome = stages[index]?.(exchange);
      if (outcome === undefined) continue;
      if (!(outcome instanceof Promise)) return outcome;
      return outcome.then(
        () => runStages(run, index + 1),
        (error: unknown) => renderError(error, exchange.requestId),
      );
    }
    return undefined;
  } catch (error) {
    return renderError(error, exchange.requestId);
  }
}

function runHandler(exchange: HttpExchange, renderError: ErrorRenderer): HttpReply | Promise<HttpReply> {
  try {
    const { route } = exchange;
    if (!route) throw new RequestError('internal_error', 'Internal error', { detail: 'finish before begin' });
    const outcome = route.handler(exchange);
    if (!(outcome instanceof Promise)) return outcome;
    return outcome.catch((error: unknown) => renderError(error, exchange.requestId));
  } catch (error) {
    return renderError(error, exchange.requestId);
  }
}

function toWireHeaders(exchange: HttpExchange, reply: HttpReply): string[] {
  const wire: string[] = ['X-Request-Id', exchange.requestId];
  const { headers } = reply;
  for (const name in headers) {
    const value = headers[name];
    if (value !== undefined) wire.push(name, value);
  }
  for (const part of exchange.corsHeaders) wire.push(part);
  if (reply.kind === 'full' && reply.cookies !== undefined) {
    for (const cookie of reply.cookies) wire.push('Set-Cookie', cookie);
  }
  if (reply.kind === 'stream') {
    // Nothing in between may hold events back or rewrite them.
    wire.push('X-Accel-Buffering', 'no');
    if (headers['Cache-Control'] === undefined) wire.push('Cache-Control', 'no-cache, no-transform');
  }
  return wire;
}

function toLogFields(exchange: HttpExchange, reply: HttpReply | undefined, endedAt: number): LogFields {
  return {
    method: exchange.method,
    // The pattern, never the path: what callers put into paths is theirs.
    route: exchange.entry?.pattern ?? 'none',
    status: reply?.status ?? clientClosedRequest,
    durationMs: Math.round((endedAt - exchange.startedAt) * 1000) / 1000,
    requestId: exchange.requestId,
    ...reply?.log,
  };
}

/** Logged, never sent: the client left before there was a reply. */
const clientClosedRequest = 499;
