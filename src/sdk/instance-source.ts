import type { AuthInfo, McpServer, McpServerFactory, Server } from '@modelcontextprotocol/server';
import { UpstreamError } from '../errors.ts';
import { isSdkServer } from './is-sdk-server.ts';

/** One product of the author's factory. */
export interface HostedInstance {
  /** What the factory returned: connect and close this one, so that what its author overrode runs. */
  readonly product: McpServer | Server;
  /** The low-level server inside. */
  readonly server: Server;
  /** Whether it is an `McpServer`, whose lists are tables in memory. */
  readonly isHighLevel: boolean;
}

/** Calls the author's factory and holds what it returns to the rule: one instance, one exchange. */
export class InstanceSource {
  readonly #factory: McpServerFactory;
  readonly #used = new WeakSet<object>();

  constructor(factory: McpServerFactory) {
    this.#factory = factory;
  }

  /**
   * @throws UpstreamError when the factory fails or returns something else
   * @throws TypeError when it returns an instance a second time: a finished handler of one caller would write to the
   *   next one's stream
   */
  async create(era: 'legacy' | 'modern', authInfo: AuthInfo | undefined): Promise<HostedInstance> {
    let product: unknown;
    try {
      product = await this.#factory(authInfo === undefined ? { era } : { era, authInfo });
    } catch (cause) {
      throw new UpstreamError('hosted server', 'The hosted server could not be built', { cause });
    }
    if (!isSdkServer(product)) {
      throw new TypeError(
        'The server factory must return a new McpServer or Server of @modelcontextprotocol/server',
      );
    }
    // Told apart by shape: the author's copy of the SDK may be another one than ours.
    const known = product as McpServer | Server;
    const isHighLevel = 'server' in known;
    const server = isHighLevel ? known.server : known;
    if (this.#used.has(server) || server.transport !== undefined) {
      throw new TypeError(
        'The server factory returned an instance it returned before; make a new one in every call',
      );
    }
    this.#used.add(server);
    return { product: known, server, isHighLevel };
  }
}
