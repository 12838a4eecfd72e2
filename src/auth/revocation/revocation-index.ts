import type { Revocable } from './revocations.ts';
import type { Revocation, RevocationKind } from './revocation-store.ts';

const defaultMaxEntries = 200_000;

/**
 * The revocations that are in force, in memory. Bounded: past the bound the oldest are dropped, and with them goes
 * every token that was issued when they were made or before. Their holders have to get new ones; nobody who was
 * revoked gets in.
 */
export class RevocationIndex {
  readonly #maxEntries: number;
  readonly #entries = new Map<string, Pick<Revocation, 'revokedAt' | 'expiresAt'>>();
  /** What was found to be free of revocations, and in which state of the index. */
  readonly #cleared = new WeakMap<Revocable, number>();
  /** Tokens issued at or before this are refused: what was known of them was dropped. */
  #droppedUntil = 0;
  #state = 0;

  constructor(maxEntries: number = defaultMaxEntries) {
    this.#maxEntries = maxEntries;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Adds an entry or moves one forward. @returns false when as much was known before */
  add({ kind, name, revokedAt, expiresAt }: Omit<Revocation, 'revision'>): boolean {
    const key = toKey(kind, name);
    const known = this.#entries.get(key);
    if (known !== undefined && known.revokedAt >= revokedAt && known.expiresAt >= expiresAt) return false;
    // Covered already by what was dropped.
    if (revokedAt <= this.#droppedUntil) return true;
    this.#entries.delete(key);
    this.#entries.set(key, {
      revokedAt: Math.max(revokedAt, known?.revokedAt ?? 0),
      expiresAt: Math.max(expiresAt, known?.expiresAt ?? 0),
    });
    this.#state += 1;
    if (this.#entries.size > this.#maxEntries) this.#dropOldest();
    return true;
  }

  /** Whether something that is in force names this token, its user, its client or its tenant. */
  has(subject: Revocable): boolean {
    if (this.#cleared.get(subject) === this.#state) return false;
    const { token } = subject;
    if (token === undefined) return false;
    if (token.issuedAt <= this.#droppedUntil) return true;
    for (const [kind, name] of toNames(subject)) {
      const entry = this.#entries.get(toKey(kind, name));
      if (entry !== undefined && isConcerned(kind, entry.revokedAt, token.issuedAt)) return true;
    }
    this.#cleared.set(subject, this.#state);
    return false;
  }

  /** Forgets what no living token can be concerned by. */
  removeExpired(now: number): void {
    for (const [key, { expiresAt }] of this.#entries) if (now >= expiresAt) this.#entries.delete(key);
  }

  #dropOldest(): void {
    const [oldest] = this.#entries;
    if (oldest === undefined) return;
    this.#entries.delete(oldest[0]);
    this.#droppedUntil = Math.max(this.#droppedUntil, oldest[1].revokedAt);
  }
}

/** Whether one revocation ends a token. */
export function concernsToken({ kind, name, revokedAt }: Revocation, subject: Revocable): boolean {
  const { token } = subject;
  if (token === undefined || !isConcerned(kind, revokedAt, token.issuedAt)) return false;
  return toNames(subject).some(([each, known]) => each === kind && known === name);
}

/**
 * A token, a sign-in and a grant end for good, whatever an issuer's clock says. A user, a client and a tenant go on:
 * what was issued after the revocation is not concerned.
 */
function isConcerned(kind: RevocationKind, revokedAt: number, issuedAt: number): boolean {
  return kind === 'token' || kind === 'session' || kind === 'grant' || issuedAt <= revokedAt;
}

function toNames({
  subject,
  activeTenantId,
  token,
}: Revocable): readonly (readonly [RevocationKind, string])[] {
  return [
    ['user', subject],
    ['tenant', activeTenantId],
    ...(token?.tokenId === undefined ? [] : ([['token', token.tokenId]] as const)),
    ...(token?.sessionId === undefined ? [] : ([['session', token.sessionId]] as const)),
    ...(token?.grantId === undefined ? [] : ([['grant', token.grantId]] as const)),
    ...(token?.clientId === undefined ? [] : ([['client', token.clientId]] as const)),
  ];
}

function toKey(kind: RevocationKind, name: string): string {
  return `${kind}:${name}`;
}
