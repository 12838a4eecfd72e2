/**
 * Revisions served, and which era each belongs to. MCP 2026-07-28, Versioning, Terminology.
 */

/** Without sessions; each request says everything. */
export const modernVersions: readonly string[] = ['2026-07-28'];

/** Newest first: the first is offered to a client that asks for one we do not know. */
export const legacyVersions: readonly string[] = ['2025-11-25', '2025-06-18', '2025-03-26'];

/** Every revision served, newest first. */
export const supportedVersions: readonly string[] = [...modernVersions, ...legacyVersions];

/** Whether a revision carries its metadata in every request. */
export function isModernVersion(version: string): boolean {
  return modernVersions.includes(version);
}

/** Whether a revision opens with `initialize`. */
export function isLegacyVersion(version: string): boolean {
  return legacyVersions.includes(version);
}

/** Whether streams of this revision may be primed and polled. MCP 2025-11-25, Transports, Sending Messages, item 6. */
export function canPollStreams(version: string): boolean {
  return version >= '2025-11-25';
}

/** Whether this revision lets a client send several messages in one body. Only 2025-03-26 does. */
export function allowsBatches(version: string): boolean {
  return version === '2025-03-26';
}

/** `_meta` keys of the modern era. MCP 2026-07-28, Base Protocol, `_meta`. */
export const metaKeys = {
  protocolVersion: 'io.modelcontextprotocol/protocolVersion',
  clientInfo: 'io.modelcontextprotocol/clientInfo',
  clientCapabilities: 'io.modelcontextprotocol/clientCapabilities',
  logLevel: 'io.modelcontextprotocol/logLevel',
  subscriptionId: 'io.modelcontextprotocol/subscriptionId',
  serverInfo: 'io.modelcontextprotocol/serverInfo',
} as const;
