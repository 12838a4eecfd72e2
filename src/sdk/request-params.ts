/**
 * The parameters a hosted instance is fed. What the SDK reads out of them beside the handler's own (the client's
 * identity, answers, request state) is put there by us or taken out, never passed on as the client wrote it.
 */
import type { Exchange, FeatureRequest } from '../mcp/dispatch-target.ts';
import { isRecord } from '../mcp/json-rpc.ts';
import { metaKeys } from '../mcp/protocol-versions.ts';

type Params = Readonly<Record<string, unknown>>;

const envelopeKeys = [
  metaKeys.protocolVersion,
  metaKeys.clientInfo,
  metaKeys.clientCapabilities,
  metaKeys.logLevel,
];

/** With the envelope of this exchange, and the state as its server wrote it. */
export function toModernParams(
  request: FeatureRequest,
  exchange: Exchange,
  requestState: string | undefined,
): Params {
  const { requestState: _sealed, ...params } = request.params;
  const _meta = { ...toMeta(request.params), ...toEnvelope(exchange) };
  return requestState === undefined ? { ...params, _meta } : { ...params, requestState, _meta };
}

/**
 * Without what only the modern era has. The SDK would hand it to handlers in this era too, unchecked: a legacy client
 * could write a request state of its own.
 */
export function toLegacyParams(params: Params): Params {
  const hasEnvelope =
    isRecord(params['_meta']) && envelopeKeys.some((key) => Object.hasOwn(params['_meta'] as object, key));
  if (!hasEnvelope && params['requestState'] === undefined && params['inputResponses'] === undefined)
    return params;
  const { requestState: _state, inputResponses: _responses, ...rest } = params;
  return hasEnvelope ? { ...rest, _meta: toMeta(params) } : rest;
}

/** What tells the SDK of a modern client. */
export function toEnvelope(
  client: Pick<Exchange, 'protocolVersion' | 'clientInfo' | 'clientCapabilities' | 'logLevel'>,
): Params {
  return {
    [metaKeys.protocolVersion]: client.protocolVersion,
    [metaKeys.clientCapabilities]: client.clientCapabilities,
    ...(client.clientInfo !== undefined && { [metaKeys.clientInfo]: client.clientInfo }),
    ...(client.logLevel !== undefined && { [metaKeys.logLevel]: client.logLevel }),
  };
}

/** `_meta` without the envelope's keys. */
function toMeta(params: Params): Record<string, unknown> {
  if (!isRecord(params['_meta'])) return {};
  const meta = { ...params['_meta'] };
  for (const key of envelopeKeys) delete meta[key];
  return meta;
}
