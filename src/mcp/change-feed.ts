import { setTimeout as sleep } from 'node:timers/promises';
import type { MessageBus } from '../sessions/message-bus.ts';
import type { ServerChange } from './dispatch-target.ts';
import type { JsonRpcNotification, ServerCapabilities } from './protocol-types.ts';

/** What changed on the server, told on every instance to whoever listens. */
export interface ChangeFeed {
  publish(change: ServerChange): Promise<void>;
  /** @returns a function that ends the subscription */
  subscribe(listener: (change: ServerChange) => void): () => void;
  /**
   * Calls `listener` after changes may have been lost, to tell that everything may have changed: a few listeners at a
   * time, each once however often that happens before its turn, and again later when it rejects. It must not throw.
   *
   * @returns a function that ends that
   */
  onLost(listener: () => Promise<void>): () => void;
  close(): Promise<void>;
}

/** A list that clients are told of when it changes. */
export type ChangingList = 'tools' | 'prompts' | 'resources';

const topic = 'changes';
/** Listeners that tell everything at the same time, and the pauses before the next ones and after failures. */
const tellAtOnce = 25;
const pauseMs = 10;
const pauseAfterFailureMs = 1000;

/** One bus subscription per instance, however many streams are open. */
export async function createChangeFeed(bus: MessageBus): Promise<ChangeFeed> {
  const listeners = new Set<(change: ServerChange) => void>();
  const unsubscribe = await bus.subscribe(topic, (message) => {
    // The bus carries only what `publish` below put on it.
    const change = JSON.parse(message) as ServerChange;
    for (const listener of listeners) listener(change);
  });
  const lostListeners = new LostListeners();
  const stopGaps = bus.onGap(() => {
    lostListeners.callAll();
  });
  return {
    publish: (change) => bus.publish(topic, JSON.stringify(change)),
    subscribe: (listener) => {
      listeners.add(listener);
      return () => {
        listeners.delete(listener);
      };
    },
    onLost: (listener) => lostListeners.add(listener),
    close: async () => {
      stopGaps();
      lostListeners.close();
      await unsubscribe();
    },
  };
}

/** Thousands of streams have something to tell after a gap, and must not all do it at once. */
class LostListeners {
  readonly #listeners = new Set<() => Promise<void>>();
  readonly #waiting = new Set<() => Promise<void>>();
  #isCalling = false;
  #isClosed = false;

  add(listener: () => Promise<void>): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
      this.#waiting.delete(listener);
    };
  }

  callAll(): void {
    for (const listener of this.#listeners) this.#waiting.add(listener);
    if (!this.#isCalling && !this.#isClosed) void this.#call();
  }

  close(): void {
    this.#isClosed = true;
    this.#listeners.clear();
    this.#waiting.clear();
  }

  async #call(): Promise<void> {
    this.#isCalling = true;
    while (this.#waiting.size > 0) {
      const called = [...this.#waiting].slice(0, tellAtOnce);
      for (const listener of called) this.#waiting.delete(listener);
      const outcomes = await Promise.allSettled(called.map((listener) => listener()));
      const failed = called.filter((_, index) => outcomes[index]?.status === 'rejected');
      // At the end of the line, unless it was ended meanwhile.
      for (const listener of failed) if (this.#listeners.has(listener)) this.#waiting.add(listener);
      await sleep(failed.length > 0 ? pauseAfterFailureMs : pauseMs, undefined, { ref: false });
    }
    this.#isCalling = false;
  }
}

/** The lists whose changes a server tells. */
export function listsToldBy({ tools, prompts, resources }: ServerCapabilities): readonly ChangingList[] {
  return [
    ...(tools?.listChanged === true ? (['tools'] as const) : []),
    ...(prompts?.listChanged === true ? (['prompts'] as const) : []),
    ...(resources?.listChanged === true ? (['resources'] as const) : []),
  ];
}

/** What is told to a client that may have missed changes of these, so that it looks at them again. */
export function allChanges(lists: readonly ChangingList[], uris: Iterable<string>): readonly ServerChange[] {
  const tenantId = undefined;
  return [
    ...lists.map((list) => ({ kind: 'list_changed', list, tenantId }) as const),
    ...Array.from(uris, (uri) => ({ kind: 'resource_updated', uri, tenantId }) as const),
  ];
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
