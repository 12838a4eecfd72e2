/**
 * `subscriptions/listen`: the modern era's long-lived notification stream. MCP 2026-07-28, Subscriptions.
 */
import type { Principal } from '../auth/principal.ts';
import { ProtocolError, protocolErrorCodes } from '../errors.ts';
import type { CallStream } from './call-reply.ts';
import { allChanges, concernsTenant, toNotification } from './change-feed.ts';
import type { ServerChange } from './dispatch-target.ts';
import type { Engine } from './engine.ts';
import { isRecord, renderMessage, renderResult } from './json-rpc.ts';
import { metaKeys } from './protocol-versions.ts';
import type { JsonRpcId, JsonRpcRequest, ServerCapabilities } from './protocol-types.ts';
import { createResultText } from './result-text.ts';

/** Most resource URIs of one subscription. */
export const maxListenedResources = 1000;

const changingLists = ['tools', 'prompts', 'resources'] as const;

/** What a client wants to hear of, reduced to what the server can tell. */
export interface ListenFilter {
  readonly toolsListChanged?: true;
  readonly promptsListChanged?: true;
  readonly resourcesListChanged?: true;
  readonly resourceSubscriptions?: readonly string[];
}

/** Where a subscription's messages go. */
export type ListenStream = Pick<CallStream, 'write' | 'finish' | 'keepAlive'>;

/**
 * @returns the subset the server agrees to honour
 * @throws ProtocolError `-32602` for a malformed filter
 */
export function parseListenFilter(
  params: Readonly<Record<string, unknown>> | undefined,
  capabilities: ServerCapabilities,
): ListenFilter {
  const wanted = params?.['notifications'];
  if (!isRecord(wanted)) throw invalid('notifications must be an object');
  const isWanted = (key: string): boolean => {
    const value = wanted[key];
    if (value !== undefined && typeof value !== 'boolean')
      throw invalid(`notifications.${key} must be a boolean`);
    return value === true;
  };
  const uris = wanted['resourceSubscriptions'] ?? [];
  if (!Array.isArray(uris) || !uris.every((uri): uri is string => typeof uri === 'string')) {
    throw invalid('notifications.resourceSubscriptions must be an array of URIs');
  }
  if (uris.length > maxListenedResources)
    throw invalid(`at most ${maxListenedResources} resources may be listened to at once`);
  const { tools, prompts, resources } = capabilities;
  return {
    ...(isWanted('toolsListChanged') && tools?.listChanged === true ? { toolsListChanged: true } : {}),
    ...(isWanted('promptsListChanged') && prompts?.listChanged === true ? { promptsListChanged: true } : {}),
    ...(isWanted('resourcesListChanged') && resources?.listChanged === true
      ? { resourcesListChanged: true }
      : {}),
    ...(uris.length > 0 && resources?.subscribe === true ? { resourceSubscriptions: uris } : {}),
  };
}

/**
 * Opens a subscription: acknowledges it first, then tells changes until the returned function is called, the
 * credential is revoked, or the instance stops.
 *
 * @returns a function that ends it without a word: the client is gone or has cancelled
 * @throws RequestError `too_many_streams` past the limit
 */
export function openListen(
  engine: Engine,
  request: JsonRpcRequest,
  filter: ListenFilter,
  parts: { principal: Principal; stream: ListenStream },
): () => void {
  const { principal, stream } = parts;
  const meta = { [metaKeys.subscriptionId]: request.id };
  const uris = new Set(filter.resourceSubscriptions);
  const forgetStream = engine.streams.add({
    principal,
    keepAlive: () => {
      stream.keepAlive();
    },
    end: () => {
      close();
      // MCP 2026-07-28, Subscriptions, Graceful Closure.
      void stream.finish(renderListenResult(engine, request.id));
    },
  });
  stream.write(
    renderMessage({
      jsonrpc: '2.0',
      method: 'notifications/subscriptions/acknowledged',
      params: { _meta: meta, notifications: filter },
    }),
  );
  const tell = (change: ServerChange): void => {
    stream.write(renderMessage(toNotification(change, meta)));
  };
  const unsubscribe = engine.changes.subscribe((change) => {
    if (concernsTenant(change, principal.activeTenantId) && isListenedTo(change, filter, uris)) tell(change);
  });
  const stopLost = engine.changes.onLost(async () => {
    const lists = changingLists.filter((list) => filter[`${list}ListChanged`] === true);
    for (const change of allChanges(lists, uris)) tell(change);
  });
  const close = (): void => {
    unsubscribe();
    stopLost();
    forgetStream();
  };
  return close;
}

function isListenedTo(change: ServerChange, filter: ListenFilter, uris: ReadonlySet<string>): boolean {
  return change.kind === 'resource_updated'
    ? uris.has(change.uri)
    : filter[`${change.list}ListChanged`] === true;
}

function renderListenResult(engine: Engine, id: JsonRpcId): string {
  const text = createResultText(engine.target.serverInfo).complete('modern', {
    _meta: { [metaKeys.subscriptionId]: id },
  });
  return renderResult(id, text);
}

function invalid(problem: string): ProtocolError {
  return new ProtocolError(protocolErrorCodes.invalidParams, `Invalid params: ${problem}`);
}
