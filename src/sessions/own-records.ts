import { FrozenCopies } from '../lib/frozen-copies.ts';
import type { ClientCapabilities, Implementation } from '../mcp/protocol-types.ts';
import type { SessionRecord } from './session-store.ts';

/**
 * Makes records a store's own: frozen copies that neither a reader nor whoever made the original can change, bounded in
 * size. What clients of one program say of themselves is kept once.
 */
export class OwnRecords {
  readonly #maxBytes: number;
  readonly #clients = new FrozenCopies<readonly [Implementation, ClientCapabilities]>();

  /** @param maxBytes client info, capabilities and subscriptions of one session as JSON */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /**
   * @param principalKey the same text as the record's, where one is kept already
   * @throws RangeError past the bound
   */
  copy(record: SessionRecord, principalKey: string = record.principalKey): SessionRecord {
    const { value: client, bytes } = this.#clients.copy([record.clientInfo, record.clientCapabilities]);
    const subscriptions = Object.freeze([...record.subscriptions]);
    const total = bytes + Buffer.byteLength(JSON.stringify(subscriptions));
    if (total > this.#maxBytes) {
      throw new RangeError(
        `A session may hold ${this.#maxBytes} bytes of client info, capabilities and subscriptions; this is ${total}.`,
      );
    }
    // Field by field: a frozen spread is kept as a dictionary, more than twice the size of the rest of a session.
    return Object.freeze({
      id: record.id,
      principalKey,
      tenantId: record.tenantId,
      credentialId: record.credentialId,
      protocolVersion: record.protocolVersion,
      clientInfo: client[0],
      clientCapabilities: client[1],
      subscriptions,
      createdAt: record.createdAt,
      expiresAt: record.expiresAt,
      ...(record.logLevel === undefined ? undefined : { logLevel: record.logLevel }),
    });
  }
}
