/**
 * What every modern request says of itself. MCP 2026-07-28, Base Protocol, `_meta`.
 */
import { ProtocolError, protocolErrorCodes } from '../errors.ts';
import { isRecord } from './json-rpc.ts';
import { isLoggingLevel } from './logging-levels.ts';
import { isModernVersion, metaKeys, supportedVersions } from './protocol-versions.ts';
import type { ClientCapabilities, Implementation, LoggingLevel } from './protocol-types.ts';

/** The per-request protocol fields, checked. */
export interface ModernEnvelope {
  readonly protocolVersion: string;
  readonly clientInfo: Implementation | undefined;
  readonly clientCapabilities: ClientCapabilities;
  readonly logLevel: LoggingLevel | undefined;
}

/** The version that a message's `_meta` names, if any: what makes it a modern one. */
export function claimedVersion(params: Readonly<Record<string, unknown>> | undefined): unknown {
  const meta = params?.['_meta'];
  return isRecord(meta) ? meta[metaKeys.protocolVersion] : undefined;
}

/**
 * @throws ProtocolError `-32602` for a missing or malformed field, `-32022` for a version not served
 */
export function parseEnvelope(params: Readonly<Record<string, unknown>> | undefined): ModernEnvelope {
  const meta = params?.['_meta'];
  if (!isRecord(meta)) throw invalid('_meta is required');
  const protocolVersion = meta[metaKeys.protocolVersion];
  const clientCapabilities = meta[metaKeys.clientCapabilities];
  const clientInfo = meta[metaKeys.clientInfo];
  const logLevel = meta[metaKeys.logLevel];
  if (typeof protocolVersion !== 'string') throw invalid(`_meta["${metaKeys.protocolVersion}"] is required`);
  if (!isModernVersion(protocolVersion)) throw toUnsupportedVersion(protocolVersion);
  if (!isRecord(clientCapabilities)) throw invalid(`_meta["${metaKeys.clientCapabilities}"] is required`);
  if (clientInfo !== undefined && !isImplementation(clientInfo))
    throw invalid(`_meta["${metaKeys.clientInfo}"] needs a name and a version`);
  if (logLevel !== undefined && !isLoggingLevel(logLevel))
    throw invalid(`_meta["${metaKeys.logLevel}"] is not a log level`);
  // Capabilities are open objects: each one is looked at where something depends on it.
  return {
    protocolVersion,
    clientInfo,
    clientCapabilities: clientCapabilities as ClientCapabilities,
    logLevel,
  };
}

/** @see MCP 2026-07-28, Versioning, Protocol Version Negotiation */
export function toUnsupportedVersion(requested: string): ProtocolError {
  return new ProtocolError(protocolErrorCodes.unsupportedProtocolVersion, 'Unsupported protocol version', {
    supported: supportedVersions,
    requested,
  });
}

/** Whether a value names a client or server. */
export function isImplementation(value: unknown): value is Implementation {
  return isRecord(value) && typeof value['name'] === 'string' && typeof value['version'] === 'string';
}

function invalid(problem: string): ProtocolError {
  return new ProtocolError(protocolErrorCodes.invalidParams, `Invalid params: ${problem}`);
}
