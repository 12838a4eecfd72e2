import type { MessageBus } from '../sessions/message-bus.ts';
import type { ServerChange } from './dispatch-target.ts';
import type { JsonRpcNotification } from './protocol-types.ts';

/** What changed on the server, told on every instance to whoever listens. */
export interface ChangeFeed {
  publish(change: ServerChange): Promise<void>;
  /** @returns a function that ends the subscription */
  subscribe(listener: (change: ServerChange) => void): () => void;
  close(): Promise<void>;
}

const topic = 'changes';

/** One bus subscription per instance, however many streams are open. */
export async function createChangeFeed(bus: MessageBus): Promise<ChangeFeed> {
  const listeners = new Set<(change: ServerChange) => void>();
  const unsubscribe = await bus.subscribe(topic, (message) => {
    // The bus carries only what `publish` below put on it.
    const change = JSON.parse(message) as ServerChange;
    for (const listener of listeners) listener(change);
  });
  return {
    publish: (change) => bus.publish(topic, JSON.stringify(change)),
    subscribe: (listener) => {
      listeners.add(listener);
      return () => {
        listeners.delete(listener);
      };
    },
    close: unsubscribe,
  };
}

/** Whether a change concerns a tenant: its own, and what concerns everybody. */
export function concernsTenant(change: ServerChange, tenantId: string): boolean {
  return change.tenantId === undefined || change.tenantId === tenantId;
}

/** The notification that tells a change. @param meta `_meta`, where the era wants one */
export function toNotification(
  change: ServerChange,
  meta?: Readonly<Record<string, unknown>>,
): JsonRpcNotification {
  const extra = meta === undefined ? {} : { _meta: meta };
  if (change.kind === 'resource_updated') {
    return {
      jsonrpc: '2.0',
      method: 'notifications/resources/updated',
      params: { ...extra, uri: change.uri },
    };
  }
  const method = `notifications/${change.list}/list_changed`;
  return meta === undefined ? { jsonrpc: '2.0', method } : { jsonrpc: '2.0', method, params: extra };
}
