/** Those who listen while faults happen: they must hear of every change, or that everything may have changed. */
import {
  getStream,
  postLegacy,
  postModern,
  initialize,
  readEvents,
  readMessage,
  type Target,
} from '../e2e/wire.ts';

/** What is changed. */
export const watchedUri = 'ledger://thing';

/** Somebody who listens, and comes back whenever the stream ends. */
export interface Observer {
  readonly name: string;
  /** When it last heard that the resource changed, or may have: milliseconds of `performance.now`. */
  readonly heardAt: number;
  /** Ids of events that brought a message more than once. */
  readonly repeated: readonly string[];
  close(): Promise<void>;
}

const retryMs = 50;

/** A session's GET stream with a subscription, resumed with `Last-Event-ID`. */
export async function observeLegacy(target: Target): Promise<Observer> {
  const session = await initialize(target);
  const params = { uri: watchedUri };
  const subscribed = await postLegacy(target, session, { id: 1, method: 'resources/subscribe', params });
  const { error } = await readMessage(subscribed);
  if (error !== undefined) throw new Error(`not subscribed: ${error.message}`);
  const abort = new AbortController();
  const seen = new Set<string>();
  const repeated: string[] = [];
  let heardAt = 0;
  let lastEventId: string | undefined;
  const isOpened = { value: false };
  const listenOnce = async (): Promise<void> => {
    const reply = await getStream(target, session, {
      signal: abort.signal,
      ...(lastEventId === undefined ? {} : { lastEventId }),
    });
    for await (const { id, data } of readEvents(reply)) {
      isOpened.value = true;
      lastEventId = id ?? lastEventId;
      if (data === '') continue;
      if (id !== undefined && seen.has(id)) repeated.push(id);
      if (id !== undefined) seen.add(id);
      if (data.includes(watchedUri)) heardAt = performance.now();
    }
  };
  const listening = keepOn(listenOnce, abort.signal);
  await until(() => isOpened.value);
  return {
    name: 'GET stream',
    get heardAt() {
      return heardAt;
    },
    repeated,
    close: async () => {
      abort.abort();
      await listening;
    },
  };
}

/** `subscriptions/listen`: not resumable, so who listens anew looks anew, too. */
export async function observeModern(target: Target): Promise<Observer> {
  const abort = new AbortController();
  let heardAt = 0;
  const listenOnce = async (): Promise<void> => {
    const notifications = { resourceSubscriptions: [watchedUri] };
    const reply = await postModern(target, 'subscriptions/listen', { notifications }, abort.signal);
    // The acknowledgement is the first event: from here on nothing is missed.
    for await (const { data } of readEvents(reply)) if (data !== '') heardAt = performance.now();
  };
  const listening = keepOn(listenOnce, abort.signal);
  await until(() => heardAt > 0);
  return {
    name: 'subscriptions/listen',
    get heardAt() {
      return heardAt;
    },
    repeated: [],
    close: async () => {
      abort.abort();
      await listening;
    },
  };
}

async function keepOn(listenOnce: () => Promise<void>, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await listenOnce().catch(() => undefined);
    if (!signal.aborted) await new Promise((resolve) => setTimeout(resolve, retryMs));
  }
}

async function until(isSo: () => boolean): Promise<void> {
  const end = performance.now() + 10_000;
  while (!isSo()) {
    if (performance.now() > end) throw new Error('an observer could not begin to listen');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
