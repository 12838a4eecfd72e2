/**
 * Tells a server of the official SDK by its shape, so that recognising one does not load the SDK, and one built with
 * another installed copy of it is recognised too.
 */

/** Whether a value is a server of the official SDK v2: an `McpServer`, or the `Server` below it. */
export function isSdkServer(value: unknown): boolean {
  if (!hasMethods(value, ['connect', 'close'])) return false;
  return isLowLevelServer(value) || isLowLevelServer((value as { readonly server?: unknown }).server);
}

function isLowLevelServer(value: unknown): boolean {
  return hasMethods(value, ['connect', 'close', 'setRequestHandler', 'getCapabilities']);
}

function hasMethods(value: unknown, names: readonly string[]): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return names.every((name) => typeof (value as Readonly<Record<string, unknown>>)[name] === 'function');
}
