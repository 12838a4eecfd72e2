import type { PagePosition } from '../api-key-store.ts';

/** A person (or a service account of an identity provider) whom this host knows. */
export interface User {
  /** A UUID; the subject of the tokens that this host issues. */
  readonly id: string;
  /** Who vouches for the identity: `local` for an account with a password here, otherwise an issuer's URL. */
  readonly issuer: string;
  /** What the issuer calls the user; of a local account, the name that is typed to sign in, in lower case. */
  readonly subject: string;
  /** For people; absent when the issuer does not say. */
  readonly name?: string;
  readonly email?: string;
  /** An inactive user cannot sign in, exchange or refresh anything. */
  readonly isActive: boolean;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
}

/** What a user is in one tenant. */
export interface Membership {
  readonly userId: string;
  readonly tenantId: string;
  readonly role: string;
  /** The most that tokens of this user may carry in this tenant, in the sense of `isScopeCovered`. */
  readonly scopes: readonly string[];
  /** An inactive membership is as none, except that it is still listed. */
  readonly isActive: boolean;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
}

/** What may change in a stored user. `undefined` clears a value. */
export interface UserChange {
  readonly name?: string | undefined;
  readonly email?: string | undefined;
  readonly isActive?: boolean;
}

/** Where users and their memberships are kept. Each method throws `UpstreamError` when it cannot be reached. */
export interface UserStore {
  /**
   * @param passwordHash of a local account, as `hashPassword` returned it
   * @param membership that the user has from the beginning: both are stored, or neither
   * @returns false when the id, or the issuer's subject, is taken, or there is no such tenant
   */
  insert(user: User, passwordHash?: string, membership?: Omit<Membership, 'userId'>): Promise<boolean>;
  findById(id: string): Promise<User | undefined>;
  findByIdentity(issuer: string, subject: string): Promise<User | undefined>;
  /** All users, oldest first, at most `limit`. */
  list(limit: number, after?: PagePosition): Promise<readonly User[]>;
  /** @returns the user as stored, or `undefined` when there is none */
  update(id: string, change: UserChange): Promise<User | undefined>;
  /** Of a local account; `undefined` when there is none. */
  loadPasswordHash(userId: string): Promise<string | undefined>;
  /** @returns whether the user existed */
  setPasswordHash(userId: string, passwordHash: string): Promise<boolean>;

  /** All memberships of a user, inactive ones too, oldest first. */
  listMemberships(userId: string): Promise<readonly Membership[]>;
  /**
   * Adds or replaces the one membership of this user in this tenant.
   *
   * @returns false when there is no such user or tenant
   */
  setMembership(membership: Membership): Promise<boolean>;
  /** @returns whether it existed */
  removeMembership(userId: string, tenantId: string): Promise<boolean>;
}
