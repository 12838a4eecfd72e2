/**
 * Revocations over a store that every instance reads, pushed over the message bus as well: the store makes them
 * certain, the bus makes them quick.
 */
import { UpstreamError } from '../../errors.ts';
import type { MessageBus } from '../../sessions/message-bus.ts';
import { type ChangeSource, ChangeWatch } from '../change-watch.ts';
import { concernsToken, RevocationIndex } from './revocation-index.ts';
import type { Revocation, RevocationKind, RevocationStore } from './revocation-store.ts';
import type { Revocable, RevocationListener, Revocations, RevokeOptions } from './revocations.ts';

/** The longest that a token may live, and so that a revocation has to be remembered. 30 days. */
export const maxTokenLifetimeMs: number = 30 * 24 * 60 * 60_000;

/** While the store is out of reach, what was read last counts for this long. */
const maxUnknownMs = 10_000;
const pollIntervalMs = 250;
const removalIntervalMs = 3_600_000;
const maxNameLength = 512;
const topic = 'revocations';
const kinds: ReadonlySet<unknown> = new Set<RevocationKind>([
  'token',
  'session',
  'grant',
  'user',
  'client',
  'tenant',
]);

/** What revocations are made of. */
export interface SharedRevocationsOptions {
  readonly store: RevocationStore;
  /** Absent: the store alone carries them. */
  readonly bus?: Pick<MessageBus, 'publish' | 'subscribe'>;
  /** How old the last look at the store may be when a request is answered. Default 1000. */
  readonly maxStalenessMs?: number;
  /** Look at the store before every request. Default false. */
  readonly isStrict?: boolean;
  /** What to do with a token while the store is out of reach for longer than 10 s. Default `refuse`. */
  readonly whenUnknown?: 'refuse' | 'accept';
  /** Told of failures that no request reports. */
  readonly onError?: (error: unknown) => void;
  readonly maxEntries?: number;
  readonly now?: () => number;
}

/** See the file's head. */
export class SharedRevocations implements Revocations {
  readonly #store: RevocationStore;
  readonly #bus: SharedRevocationsOptions['bus'];
  readonly #isStrict: boolean;
  readonly #whenUnknown: 'refuse' | 'accept';
  readonly #onError: (error: unknown) => void;
  readonly #now: () => number;
  readonly #index: RevocationIndex;
  readonly #watch: ChangeWatch<Revocation>;
  readonly #listeners = new Set<RevocationListener>();
  readonly #poll: NodeJS.Timeout;
  readonly #subscription: Promise<(() => Promise<void>) | undefined>;
  #removedAt: number;
  #removal: Promise<void> | undefined;

  constructor(options: SharedRevocationsOptions) {
    this.#store = options.store;
    this.#bus = options.bus;
    this.#isStrict = options.isStrict ?? false;
    this.#whenUnknown = options.whenUnknown ?? 'refuse';
    this.#onError = options.onError ?? (() => undefined);
    this.#now = options.now ?? Date.now;
    this.#index = new RevocationIndex(options.maxEntries);
    this.#removedAt = this.#now();
    this.#watch = new ChangeWatch(
      toChangeSource(options.store),
      {
        changed: (revocation) => {
          this.#apply(revocation);
        },
        // Nothing is forgotten: everything there is comes next, and what is gone from an older copy stays revoked.
        reset: () => undefined,
        failed: this.#onError,
      },
      {
        now: this.#now,
        tellsAll: true,
        ...(options.maxStalenessMs !== undefined && { maxStalenessMs: options.maxStalenessMs }),
      },
    );
    // From the start on, with or without requests: streams that are open have to be cut.
    this.#poll = setInterval(() => {
      this.#watch.poll();
      this.#removeExpired();
    }, pollIntervalMs);
    this.#poll.unref();
    this.#subscription = this.#subscribe();
  }

  async revoke(kind: RevocationKind, name: string, options: RevokeOptions = {}): Promise<Revocation> {
    if (name === '' || name.length > maxNameLength) {
      throw new TypeError(`a revocation names something of 1 to ${maxNameLength} characters`);
    }
    const revokedAt = options.revokedAt ?? this.#now();
    const expiresAt = options.expiresAt ?? revokedAt + maxTokenLifetimeMs;
    const stored = await this.#store.insert({ kind, name, revokedAt, expiresAt });
    this.#apply(stored);
    // Stored is what counts; who does not hear of it reads it.
    await this.#bus?.publish(topic, JSON.stringify(stored)).catch(this.#onError);
    return stored;
  }

  isRevoked(principal: Revocable): boolean | Promise<boolean> {
    if (principal.token === undefined) return false;
    const now = this.#now();
    if (this.#isStrict) return this.#isRevokedAfterLook(principal);
    if (this.#watch.isCurrent(now)) return this.#index.has(principal);
    if (this.#watch.isFailing) return this.#isRevokedUnknown(principal, now);
    return this.#isRevokedAfterLook(principal);
  }

  onRevoked(listener: RevocationListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Stops watching, after what is under way. Store and bus stay open. */
  async close(): Promise<void> {
    clearInterval(this.#poll);
    await Promise.all([this.#watch.close(), this.#removal]);
    await (await this.#subscription)?.().catch(this.#onError);
  }

  async #isRevokedAfterLook(principal: Revocable): Promise<boolean> {
    try {
      await (this.#isStrict ? this.#watch.lookAnew() : this.#watch.look());
    } catch {
      // The watch has told of it.
      return this.#isRevokedUnknown(principal, this.#now());
    }
    return this.#index.has(principal);
  }

  #isRevokedUnknown(principal: Revocable, now: number): boolean {
    if (this.#index.has(principal)) return true;
    const bound = this.#isStrict ? 0 : maxUnknownMs;
    if (this.#whenUnknown === 'refuse' && now - this.#watch.checkedAt >= bound) {
      throw new UpstreamError('database', 'Whether tokens were revoked cannot be known now');
    }
    return false;
  }

  #apply(revocation: Revocation): void {
    if (this.#now() >= revocation.expiresAt || !this.#index.add(revocation)) return;
    for (const listener of this.#listeners) {
      try {
        listener(revocation, (principal) => concernsToken(revocation, principal));
      } catch (error) {
        this.#onError(error);
      }
    }
  }

  async #subscribe(): Promise<(() => Promise<void>) | undefined> {
    try {
      return await this.#bus?.subscribe(topic, (message) => {
        const revocation = parseMessage(message);
        if (revocation !== undefined) this.#apply(revocation);
      });
    } catch (error) {
      this.#onError(error);
      return undefined;
    }
  }

  #removeExpired(): void {
    const now = this.#now();
    if (now - this.#removedAt < removalIntervalMs) return;
    this.#removedAt = now;
    this.#index.removeExpired(now);
    this.#removal = this.#store.removeExpired(now).then(() => undefined, this.#onError);
  }
}

function toChangeSource(store: RevocationStore): ChangeSource<Revocation> {
  return {
    loadRevision: () => store.loadRevision(),
    listChanges: (revision, limit) => store.listChanges(revision, limit),
    readMarker: () => store.readMarker(),
    onChange: (listener) =>
      store.onChange((event) => {
        listener(event.kind === 'changed' ? event.revocation : undefined);
      }),
  };
}

/** What another version of this host sends, and we do not know, reaches us through the store. */
function parseMessage(message: string): Revocation | undefined {
  try {
    const value = JSON.parse(message) as Partial<Record<keyof Revocation, unknown>>;
    const { kind, name, revokedAt, expiresAt, revision } = value;
    if (!kinds.has(kind) || typeof name !== 'string') return undefined;
    if (typeof revokedAt !== 'number' || typeof expiresAt !== 'number' || typeof revision !== 'number')
      return undefined;
    return { kind: kind as RevocationKind, name, revokedAt, expiresAt, revision };
  } catch {
    return undefined;
  }
}
