/**
 * Connects a fresh instance as a server of one era, through the SDK's public interface alone.
 */
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import type { JSONRPCMessage, JSONRPCRequest, Transport } from '@modelcontextprotocol/server';
import { ProtocolError, protocolErrorCodes } from '../errors.ts';
import { isRecord } from '../mcp/json-rpc.ts';
import type { ClientCapabilities, Implementation } from '../mcp/protocol-types.ts';
import { metaKeys } from '../mcp/protocol-versions.ts';
import type { ExchangeTransport } from './exchange-transport.ts';
import type { HostedInstance } from './instance-source.ts';
import { toResult } from './server-answer.ts';

/** What an instance is told about the client it serves. */
export interface ClientIdentity {
  readonly protocolVersion: string;
  readonly clientInfo: Implementation | undefined;
  readonly clientCapabilities: ClientCapabilities;
}

const initializeId = 'mooring:initialize';
const openingId = 'mooring:opening';

// A legacy client must name itself; this stands in when a session's record does not.
const unnamedClient: Implementation = { name: 'unknown', version: '0' };

/**
 * Replays a session's `initialize` on a connected instance, so that it knows its client as if it had been there from
 * the start. `notifications/initialized` is not replayed: it would run the author's `oninitialized` for every request.
 *
 * @returns the result of `initialize`
 * @throws ProtocolError `-32022` when the server does not speak the session's revision
 */
export async function replayInitialize(
  transport: ExchangeTransport,
  client: ClientIdentity,
): Promise<Readonly<Record<string, unknown>>> {
  const answer = await transport.call({
    jsonrpc: '2.0',
    id: initializeId,
    method: 'initialize',
    params: {
      protocolVersion: client.protocolVersion,
      capabilities: client.clientCapabilities,
      clientInfo: client.clientInfo ?? unnamedClient,
    },
  });
  const result = toResult(answer);
  if (result['protocolVersion'] === client.protocolVersion) return result;
  throw new ProtocolError(
    protocolErrorCodes.unsupportedProtocolVersion,
    `The hosted server does not speak MCP ${client.protocolVersion}`,
    { supported: [result['protocolVersion']], requested: client.protocolVersion },
  );
}

/**
 * Connects as a server of the stateless era.
 *
 * Only the SDK's own entries can bind an instance to it. `serveStdio` does so for a transport it is given; we let it
 * choose the era by the opening message, and at the moment it connects the instance, connect ours in its place, because
 * its channel carries neither the caller's `authInfo` nor what the instance says beside the request. The other entry,
 * `createMcpHandler`, makes web requests and responses for every call and drops those messages.
 *
 * @throws ProtocolError when the SDK does not know the revision
 */
export async function connectModern(
  instance: HostedInstance,
  transport: ExchangeTransport,
  client: ClientIdentity,
): Promise<void> {
  const { server, product } = instance;
  // `createMcpHandler` fills these from the envelope and `serveStdio` does not.
  server.getClientCapabilities = () => client.clientCapabilities;
  server.getClientVersion = () => client.clientInfo;
  await new Promise<void>((resolve, reject) => {
    const own = Object.getOwnPropertyDescriptor(server, 'connect');
    server.connect = async (): Promise<void> => {
      if (own === undefined) Reflect.deleteProperty(server, 'connect');
      else Object.defineProperty(server, 'connect', own);
      await product.connect(transport);
      resolve();
    };
    const wire = new OpeningWire(reject);
    // The low-level server, not the `McpServer`: recognising that by class fails across two installed copies.
    serveStdio(() => server, { transport: wire, legacy: 'reject', onerror: reject });
    wire.onmessage?.(toOpening(client.protocolVersion));
  });
}

/** The least that names the era. It is read, not delivered: nobody is connected where it would go. */
function toOpening(protocolVersion: string): JSONRPCRequest {
  const _meta = { [metaKeys.protocolVersion]: protocolVersion, [metaKeys.clientCapabilities]: {} };
  return { jsonrpc: '2.0', id: openingId, method: 'tools/list', params: { _meta } };
}

/** Hands `serveStdio` its opening message, and tells when that is refused. */
class OpeningWire implements Transport {
  onclose?: () => void;
  onerror?: (error: Error) => void;
  onmessage?: (message: JSONRPCMessage) => void;
  readonly #refused: (reason: Error) => void;

  constructor(refused: (reason: Error) => void) {
    this.#refused = refused;
  }

  async start(): Promise<void> {}

  async send(message: JSONRPCMessage): Promise<void> {
    if ('error' in message && isRecord(message.error)) {
      this.#refused(new ProtocolError(message.error.code, message.error.message, message.error.data));
    }
  }

  async close(): Promise<void> {}
}
