/**
 * The composition root: a server and its configuration in, a running host out. Built in reading order, closed in
 * reverse. Only this file knows both a port and its maker.
 */
import { randomBytes } from 'node:crypto';
import type { Readable, Writable } from 'node:stream';
import { setTimeout } from 'node:timers/promises';
import { CredentialAuthenticator } from './auth/credential-authenticator.ts';
import { dpopAlgorithms } from './auth/dpop/dpop-proof.ts';
import { KeyAuthenticator } from './auth/key-authenticator.ts';
import type { FirstRun } from './auth/first-run.ts';
import type { Revocations } from './auth/revocation/revocations.ts';
import type { FirstUser } from './auth/users/first-user.ts';
import type { Config, Secrets } from './config/config.ts';
import { keepEncryptionKey } from './config/kept-encryption-key.ts';
import { loadOwnConfig } from './config/load-own-config.ts';
import { ConfigError } from './errors.ts';
import { createKeyEndpoints } from './http/endpoints/keys.ts';
import { answerHealth, createReadyHandler } from './http/endpoints/health.ts';
import { createMcpEndpoint } from './http/endpoints/mcp.ts';
import {
  createMetadataHandler,
  toResourceMetadataPath,
  toResourceMetadataUrl,
  toResourceUrl,
} from './http/endpoints/metadata.ts';
import { createFetch } from './http/fetch.ts';
import { type ListenAddress, type NodeServer, startNodeServer } from './http/node-server.ts';
import { createTrustedProxies } from './http/node-trusted-proxies.ts';
import { createEdge, type HttpEdge } from './http/pipeline.ts';
import { createRoutes } from './http/routes.ts';
import { type Identity, openIdentity } from './identity.ts';
import { createOpenPart } from './lib/open-parts.ts';
import { compileServer } from './mcp/compiled-server.ts';
import type { DispatchTarget, ServerChange } from './mcp/dispatch-target.ts';
import { createEngine, type Engine } from './mcp/engine.ts';
import { createSealedBox, type SealedBox } from './mcp/sealed-box.ts';
import { isServerDefinition, type ServerDefinition } from './mcp/server-definition.ts';
import { serveStdio } from './mcp/stdio-connection.ts';
import type { McpServerFactory } from './sdk/index.ts';
import type { Sharing } from './sessions/sharing.ts';
import { openSigningKeys } from './open-signing-keys.ts';
import { openSharing, type SharingOptions, toSealingKeys } from './sharing.ts';
import { createSignIn, toSignInExtensions } from './sign-in.ts';
import { createTokenExchange, isExchangeServed } from './token-exchange.ts';
import { createTokenSide } from './token-side.ts';
import { createLogger, type Logger } from './telemetry/logger.ts';

/**
 * A factory of the official SDK's `McpServer`: its `McpServerFactory`. Not named as such, so that these types do not
 * need the SDK, which is an optional peer.
 */
export type SdkServerFactory = (context: never) => unknown;

const instanceIdBytes = 9;
/** How late a stream may be cut whose token has expired. */
const expiryIntervalMs = 250;
/** An open stream keeps its session from expiring: it must be seen several times before that. */
const looksPerIdleTtl = 3;
const maxLookMs = 60_000;

/** What a host is made of. */
export interface HostOptions {
  /** What `defineServer` returned, or a factory of the official SDK's `McpServer`. */
  readonly server: ServerDefinition | SdkServerFactory;
  /** Default, for all three: from the environment and `mooring.config`, as `mooring start` reads them. */
  readonly config?: Config;
  readonly secrets?: Secrets;
  readonly logger?: Logger;
}

/** A host, ready to serve. */
export interface Host {
  /**
   * Present when this host created the first tenant and its key, which happens in `listen`, or in the first `fetch`
   * where another runtime listens; the key is seen only now.
   */
  readonly firstRun: FirstRun | undefined;
  /** The same of the first account to sign in with, where `AUTH` is `oauth`. */
  readonly firstUser: FirstUser | undefined;
  /** Tenants and API keys; absent when the transport is stdio, which has no callers to tell apart. */
  readonly identity: Identity | undefined;
  /**
   * Starts to serve over HTTP.
   *
   * @returns the URL of the MCP endpoint
   * @throws ConfigError when the address cannot be listened on
   */
  listen(): Promise<{ readonly url: string }>;
  /** Serves one client over two streams, as a rule standard input and output; resolves when the client is gone. */
  serveStdio(input: Readable, output: Writable): Promise<void>;
  /** Answers one web request: for runtimes that listen themselves (Hono, Vercel, tests). Rejects on a stdio host only. */
  fetch(request: Request): Promise<Response>;
  /** Tells interested clients of a change that no call made; without a tenant, those of every tenant. */
  publish(change: ServerChange): Promise<void>;
  /**
   * Readiness off for `SHUTDOWN_DELAY_MS`, then streams ended, calls in flight finished within `SHUTDOWN_GRACE_MS`,
   * everything released. Idempotent.
   */
  close(): Promise<void>;
}

/**
 * Builds a host. Nothing listens yet.
 *
 * @throws ConfigError for settings that cannot be used, all problems at once
 * @throws TypeError for a server definition that cannot be served
 * @throws UpstreamError when a service that it needs cannot be reached
 */
export async function createHost(options: HostOptions): Promise<Host> {
  const { config, secrets: given } = await resolveConfig(options);
  const isSignInServed = config.signIn.auth === 'oauth' && config.server.transport !== 'stdio';
  // What signing in keeps must open after a restart.
  const isSigning = isSignInServed || isExchangeServed(config);
  const secrets = isSigning ? keepEncryptionKey(config, given) : given;
  const logger = options.logger ?? createLogger({ level: config.log.logLevel });
  const box = createSealedBox({ keys: toSealingKeys(secrets) });
  const open = createOpenPart();
  const target = await open(createTarget(options.server, box, config, logger), (each) => each.close());
  const shared: SharingOptions = {
    config,
    secrets,
    box,
    logger,
    instanceId: randomBytes(instanceIdBytes).toString('base64url'),
  };
  const sharing = await open(openSharing(shared), (each) => each.close());
  const engine = await open(createEngineOf(target, sharing, shared), (each) => each.stop(0));
  const identity =
    config.server.transport === 'stdio'
      ? undefined
      : await open(openIdentity(config, secrets), (each) => each.close());
  const web =
    identity === undefined
      ? undefined
      : createWeb({ identity, engine, sharing, config, secrets, box, logger, isSignInServed });
  let server: NodeServer | undefined;
  let closing: Promise<void> | undefined;
  let firstRun: FirstRun | undefined;
  let firstUser: FirstUser | undefined;
  let isFirstEnsured = false;

  // Not before there is an address to reach this host at: who is told that the port is taken is never shown the key.
  const ensureFirst = async (): Promise<void> => {
    if (isFirstEnsured) return;
    const { upstreamIssuer, upstreamJoinTenant } = config.upstream;
    // Before a key is made that is shown only once: a start that fails shows nothing.
    if (upstreamJoinTenant !== '') await requireTenant(identity, upstreamJoinTenant);
    firstRun = (await identity?.ensureFirst()) ?? firstRun;
    if (isSignInServed && upstreamIssuer === undefined)
      firstUser = (await identity?.ensureFirstUser()) ?? firstUser;
    isFirstEnsured = true;
  };

  const close = async (): Promise<void> => {
    const { shutdownDelayMs, shutdownGraceMs: graceMs } = config.server;
    web?.stop();
    if (server !== undefined) await setTimeout(shutdownDelayMs);
    const from = performance.now();
    // The engine serves until nothing new can come.
    await server?.quiesce(graceMs);
    const leftMs = Math.max(0, graceMs - (performance.now() - from));
    await Promise.all([engine.stop(leftMs), server?.close(leftMs)]);
    await web?.close();
    await sharing.close();
    await identity?.close();
    await target.close();
    await logger.flush();
  };

  return {
    get firstRun() {
      return firstRun;
    },
    get firstUser() {
      return firstUser;
    },
    identity,
    listen: async () => {
      if (web === undefined) throw new TypeError('this host serves stdio: MCP_TRANSPORT is stdio');
      if (server !== undefined) throw new TypeError('this host listens already');
      const { host, port } = config.server;
      server = await startNodeServer({
        host,
        port,
        createEdge: (address) => web.createEdge(toPublicUrl(config, address)),
        limits: {
          maxHeaderBytes: config.edge.maxHeaderBytes,
          headersTimeoutMs: config.edge.headersTimeoutMs,
          requestTimeoutMs: config.edge.requestTimeoutMs,
          keepAliveTimeoutMs: config.edge.keepAliveTimeoutMs,
          streamBufferBytes: config.streams.streamBufferBytes,
        },
      });
      await ensureFirst();
      return { url: `${toPublicUrl(config, server.address)}/mcp` };
    },
    serveStdio: async (input, output) => {
      await serveStdio({
        engine,
        input,
        output,
        maxMessageBytes: config.edge.maxBodyBytes,
        graceMs: config.server.shutdownGraceMs,
      });
    },
    fetch: async (request) => {
      if (web === undefined) throw new TypeError('this host serves stdio: MCP_TRANSPORT is stdio');
      await ensureFirst().catch((error: unknown) => {
        // Any other failure the request meets, too, and tells.
        if (error instanceof ConfigError) throw error;
      });
      return web.fetch(request);
    },
    publish: (change) => engine.changes.publish(change),
    close: () => (closing ??= close()),
  };
}

/** Or the first person to sign in would be the first to find out. */
async function requireTenant(identity: Identity | undefined, tenantId: string): Promise<void> {
  if (identity === undefined || (await identity.tenants.findById(tenantId)) !== undefined) return;
  throw new ConfigError([
    {
      setting: 'UPSTREAM_JOIN_TENANT',
      problem: `there is no tenant with the id ${tenantId}; see: mooring tenants list`,
    },
  ]);
}

async function resolveConfig({
  config,
  secrets,
}: HostOptions): Promise<{ readonly config: Config; readonly secrets: Secrets }> {
  if (config !== undefined && secrets !== undefined) return { config, secrets };
  if (config !== undefined || secrets !== undefined)
    throw new TypeError('config and secrets belong together: give both, or neither');
  return loadOwnConfig();
}

async function createTarget(
  server: HostOptions['server'],
  box: SealedBox,
  config: Config,
  logger: Logger,
): Promise<DispatchTarget> {
  if (isServerDefinition(server)) return compileServer(server);
  const { publicUrl } = config.server;
  // Loaded only when one is hosted: the official SDK is an optional peer.
  const { createSdkTarget } = await import('./sdk/index.ts');
  // It calls the factory at once and refuses what is not a server of the SDK.
  return createSdkTarget(server as McpServerFactory, {
    box,
    logger,
    stateTtlSeconds: config.calls.requestStateTtlSeconds,
    // Unknown before the port is, when it was not configured; challenges then go without it.
    ...(publicUrl === undefined ? {} : { resourceMetadataUrl: toResourceMetadataUrl(publicUrl) }),
  });
}

function createEngineOf(
  target: DispatchTarget,
  sharing: Sharing,
  { box, config, logger, instanceId }: SharingOptions,
): Promise<Engine> {
  const { sessions, streams, calls } = config;
  return createEngine({
    instanceId,
    target,
    sessions: sharing.sessions,
    events: sharing.events,
    bus: sharing.bus,
    instances: sharing.instances,
    claims: sharing.claims,
    box,
    logger,
    extensions: toSignInExtensions(config),
    limits: {
      sessionTtlMs: sessions.sessionMaxTtlSeconds * 1000,
      streamAfterMs: streams.sseAfterMs,
      retryMs: streams.sseRetryMs,
      keepAliveMs: streams.sseKeepAliveMs,
      lookMs: Math.min(maxLookMs, (sessions.sessionIdleTtlSeconds * 1000) / looksPerIdleTtl),
      maxStreamsPerPrincipal: streams.maxStreamsPerPrincipal,
      callTimeoutMs: calls.callTimeoutMs,
      questionTimeoutMs: calls.questionTimeoutMs,
      requestStateTtlSeconds: calls.requestStateTtlSeconds,
    },
  });
}

/** The HTTP side of a host. */
interface Web {
  createEdge(publicUrl: string): HttpEdge;
  fetch(request: Request): Promise<Response>;
  /** Readiness off. */
  stop(): void;
  close(): Promise<void>;
}

interface WebOptions {
  readonly identity: Identity;
  readonly engine: Engine;
  readonly sharing: Sharing;
  readonly config: Config;
  readonly secrets: Secrets;
  readonly box: SealedBox;
  readonly logger: Logger;
  readonly isSignInServed: boolean;
}

function createWeb(options: WebOptions): Web {
  const { identity, engine, sharing, config, logger } = options;
  const keys = new KeyAuthenticator({
    keys: identity.keyStore,
    onError: (error) => {
      logger.error('auth.key_watch_failed', {}, error);
    },
  });
  const tokens = createTokenSide({
    config,
    sharing,
    logger,
    revocationStore: identity.revocations,
    users: identity.users,
  });
  const signing = {
    ...options,
    ...tokens,
    limits: sharing.limits,
    keys: openSigningKeys({
      config,
      store: identity.signingKeys,
      box: options.box,
      onUnreadable: (id) => {
        logger.error('auth.signing_key_unreadable', { kid: id });
      },
    }),
  };
  const signIn = options.isSignInServed ? createSignIn({ ...signing, target: engine.target }) : undefined;
  const exchange = isExchangeServed(config) ? createTokenExchange(signing) : undefined;
  const authenticator = new CredentialAuthenticator({ keys, tokens: tokens.authenticator });
  const stopCutting = cutStreams(engine, keys, tokens.revocations);
  const baseScopes = engine.target.scopes?.base ?? [];
  const issuers = config.tokens.trustedIssuers.filter(({ uses }) => uses.includes('access'));
  const endpoint = createMcpEndpoint(engine, {
    ...(signIn !== undefined && { onInsufficientScope: (principal) => signIn.noticeStepUp(principal) }),
  });
  let isStopping = false;
  const ready = createReadyHandler({
    checks: {
      database: () => identity.check(),
      sessions: () => engine.sessions.check(),
      bus: () => engine.bus.check(),
    },
    isStopping: () => isStopping,
    logger,
  });
  const createWebEdge = (publicUrl: string): HttpEdge => {
    const resource = toResourceUrl(publicUrl);
    const exchanged = exchange?.serve(publicUrl, resource);
    const server = signIn?.serve(publicUrl, resource, exchanged?.service);
    return createEdge({
      routes: createRoutes(
        {
          mcp: endpoint,
          keys: createKeyEndpoints(identity.keys),
          health: answerHealth,
          ready,
          resourceMetadata: createMetadataHandler({
            publicUrl,
            resourceName: engine.target.serverInfo.name,
            authorizationServers: [
              ...(server === undefined ? [] : [publicUrl]),
              ...issuers.flatMap((issuer) => issuer.issuers),
            ],
            baseScopes,
            dpopAlgorithms,
          }),
          ...(server !== undefined && { oauth: server.endpoints }),
          ...(exchanged !== undefined && { tokenService: exchanged.endpoints }),
        },
        {
          maxMcpBodyBytes: config.edge.maxBodyBytes,
          resourceMetadataPath: toResourceMetadataPath(publicUrl),
        },
      ),
      authenticator,
      allowedHosts: config.edge.allowedHosts,
      allowedOrigins: config.edge.allowAnyOrigin ? 'any' : config.edge.allowedOrigins,
      isTrustedProxy: createTrustedProxies(config.edge.trustedProxies),
      publicUrl,
      resourceMetadataUrl: toResourceMetadataUrl(publicUrl),
      baseScopes,
      dpopAlgorithms,
      logger,
    });
  };
  let fetch: ((request: Request) => Promise<Response>) | undefined;
  return {
    createEdge: createWebEdge,
    fetch: (request) => {
      // Where another runtime listens, only the configured URL can be known.
      fetch ??= createFetch(createWebEdge(toPublicUrl(config, config.server)), {
        streamBufferBytes: config.streams.streamBufferBytes,
      });
      return fetch(request);
    },
    stop: () => {
      isStopping = true;
    },
    close: async () => {
      stopCutting();
      endpoint.close();
      await Promise.all([exchange?.close(), signIn?.close()]);
      await Promise.all([keys.close(), tokens.close()]);
    },
  };
}

/** Ends open streams when what opened them ends: a key, a token, or whatever a revocation names. */
function cutStreams(engine: Engine, keys: KeyAuthenticator, revocations: Revocations): () => void {
  const stopKeys = keys.onRevoked((credentialId) => {
    engine.streams.endWhere('revoked', ({ principal }) => principal.credentialId === credentialId);
  });
  const stopRevocations = revocations.onRevoked((_, concerns) => {
    engine.streams.endWhere('revoked', ({ principal }) => concerns(principal));
  });
  const timer = setInterval(() => {
    const now = Date.now();
    engine.streams.endWhere(
      'revoked',
      ({ principal }) => principal.token !== undefined && now >= (principal.expiresAt ?? 0),
    );
  }, expiryIntervalMs);
  timer.unref();
  return () => {
    clearInterval(timer);
    stopKeys();
    stopRevocations();
  };
}

/** How clients reach this host: as configured, else where it listens. */
function toPublicUrl(config: Config, address: ListenAddress): string {
  const { publicUrl } = config.server;
  if (publicUrl !== undefined) return publicUrl;
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  return `http://${host}:${address.port}`;
}
