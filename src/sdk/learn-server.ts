import type { JSONRPCRequest, MessageExtraInfo } from '@modelcontextprotocol/server';
import type { Implementation, ServerCapabilities } from '../mcp/protocol-types.ts';
import { legacyVersions, modernVersions } from '../mcp/protocol-versions.ts';
import { ProtocolError, protocolErrorCodes } from '../errors.ts';
import { connectModern, replayInitialize } from './bind-era.ts';
import { ExchangeTransport } from './exchange-transport.ts';
import type { HostedInstance } from './instance-source.ts';
import { toEnvelope } from './request-params.ts';
import { listAllTools, toResult } from './server-answer.ts';

/** What a hosted server says of itself. */
export interface LearnedServer {
  readonly serverInfo: Implementation;
  readonly instructions: string | undefined;
  readonly capabilities: ServerCapabilities;
  /** Every tool, as `tools/list` tells; empty when the server has none, or lists none to nobody in particular. */
  readonly tools: readonly unknown[];
  /** Legacy revisions that the server turns down. */
  readonly refusedVersions: readonly string[];
  /** Whether both eras tell the same capabilities. */
  readonly isSameInBothEras: boolean;
}

const outlet = { notification: (): void => undefined, request: (): void => undefined };
const nobody = { clientInfo: { name: 'mooring', version: '0' }, clientCapabilities: {}, logLevel: undefined };

/**
 * Asks instances of both eras who they are, over the wire, as a client would.
 *
 * @throws ProtocolError when the server refuses every legacy revision, or cannot be bound to the modern one
 */
export async function learnServer(
  create: (era: 'legacy' | 'modern') => Promise<HostedInstance>,
): Promise<LearnedServer> {
  const { refusedVersions, answer } = await introduceLegacy(await create('legacy'));
  const modern = await introduceModern(await create('modern'));
  // The SDK wrote and validated both; the specification's types are the same on our side.
  const { serverInfo, instructions, capabilities } = answer as unknown as Pick<
    LearnedServer,
    'serverInfo' | 'instructions' | 'capabilities'
  >;
  return {
    serverInfo,
    instructions,
    capabilities,
    tools: modern.tools,
    refusedVersions,
    isSameInBothEras: JSON.stringify(capabilities) === JSON.stringify(modern.capabilities),
  };
}

/** Connects and closes an instance: only one that was connected tells its author that it is closed. */
export async function dismiss(instance: HostedInstance): Promise<void> {
  await instance.product.connect(new ExchangeTransport(outlet));
  await instance.product.close();
}

async function introduceLegacy(
  instance: HostedInstance,
): Promise<{ refusedVersions: readonly string[]; answer: Readonly<Record<string, unknown>> }> {
  const refusedVersions: string[] = [];
  const transport = new ExchangeTransport(outlet);
  let answer: Readonly<Record<string, unknown>> | undefined;
  let refusal = new ProtocolError(
    protocolErrorCodes.unsupportedProtocolVersion,
    'The hosted server speaks no revision of ours',
  );
  try {
    await instance.product.connect(transport);
    for (const protocolVersion of legacyVersions) {
      try {
        const heard = await replayInitialize(transport, { ...nobody, protocolVersion });
        answer ??= heard;
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
        refusal = error;
        refusedVersions.push(protocolVersion);
      }
    }
  } finally {
    await instance.product.close();
  }
  if (answer === undefined) throw refusal;
  return { refusedVersions, answer };
}

async function introduceModern(
  instance: HostedInstance,
): Promise<{ capabilities: unknown; tools: readonly unknown[] }> {
  const protocolVersion = modernVersions[0] ?? '';
  const transport = new ExchangeTransport(outlet);
  const envelope = toEnvelope({ ...nobody, protocolVersion });
  const extra: MessageExtraInfo = { classification: { era: 'modern', revision: protocolVersion } };
  let id = 0;
  const toRequest = (method: string, params: Readonly<Record<string, unknown>>): JSONRPCRequest => {
    id += 1;
    return { jsonrpc: '2.0', id, method, params: { ...params, _meta: { ...envelope } } };
  };
  try {
    await connectModern(instance, transport, { ...nobody, protocolVersion });
    const { capabilities } = toResult(await transport.call(toRequest('server/discover', {}), extra));
    const hasTools = (capabilities as ServerCapabilities).tools !== undefined;
    const tools = hasTools
      ? await listAllTools((params) => transport.call(toRequest('tools/list', params), extra)).catch(
          ignoreRefusal,
        )
      : [];
    return { capabilities, tools };
  } finally {
    await instance.product.close();
  }
}

/** A server may list its tools to known callers only. */
function ignoreRefusal(error: unknown): readonly unknown[] {
  if (error instanceof ProtocolError) return [];
  throw error;
}
