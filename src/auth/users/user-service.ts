import { randomBytes, randomUUID } from 'node:crypto';
import { RequestError } from '../../errors.ts';
import type { PagePosition } from '../api-key-store.ts';
import type { RevocationKind } from '../revocation/revocation-store.ts';
import { hashPassword } from './password.ts';
import type { Membership, User, UserStore } from './user-store.ts';

/** The issuer of accounts that have a password here. */
export const localIssuer = 'local';

/** What a new user shall be. */
export interface UserInput {
  /** Default: a local account. */
  readonly issuer?: string;
  /** What the issuer calls the user (`sub`); of a local account, the name to sign in with. */
  readonly subject: string;
  readonly name?: string;
  readonly email?: string;
  /** Of a local account. Default: one that is made, and told once. */
  readonly password?: string;
  /** Default: none, so that the user may do nothing yet. */
  readonly membership?: Omit<Membership, 'userId' | 'createdAt' | 'isActive'>;
}

/** A user who was just made, or whose password was just set. */
export interface MadeUser {
  readonly user: User;
  /** Present when the password was made here: the only time it is ever seen. */
  readonly password?: string;
}

/** A user with all that is known of them. */
export interface UserDetails {
  readonly user: User;
  readonly memberships: readonly Membership[];
}

/** What the service needs. */
export interface UserServiceOptions {
  readonly users: UserStore;
  /** Ends every token of a user or of a membership, on every instance. */
  readonly revoke: (kind: RevocationKind, name: string) => Promise<void>;
  readonly now?: () => number;
}

/** 100 bits, in characters that cannot be taken for each other. */
const madePasswordLength = 20;
const passwordAlphabet = 'abcdefghijkmnpqrstuvwxyz23456789';
const subjectPattern = /^[^\p{C}\p{Zl}\p{Zp}]{1,255}$/u;
const localSubjectPattern = /^[^\s\p{C}\p{Z}]{1,128}$/u;

/**
 * The life of users, for the operator. What a user may no longer do, their tokens may no longer do either, from the
 * next request on.
 *
 * Every method throws `RequestError` (`not_found`, `conflict`, `request_invalid`) and `UpstreamError`.
 */
export class UserService {
  readonly #users: UserStore;
  readonly #revoke: UserServiceOptions['revoke'];
  readonly #now: () => number;

  constructor({ users, revoke, now = Date.now }: UserServiceOptions) {
    this.#users = users;
    this.#revoke = revoke;
    this.#now = now;
  }

  async create(input: UserInput): Promise<MadeUser> {
    const issuer = input.issuer ?? localIssuer;
    const isLocal = issuer === localIssuer;
    const subject = isLocal ? toLocalSubject(input.subject) : input.subject;
    assertSubject(subject, isLocal);
    if (!isLocal && !URL.canParse(issuer))
      throw new RequestError('request_invalid', 'An issuer is a URL, exactly as its tokens name it in `iss`');
    if (!isLocal && input.password !== undefined)
      throw new RequestError('request_invalid', 'Only a local account has a password here');
    const made = isLocal && input.password === undefined ? createPassword() : undefined;
    const password = input.password ?? made;
    const user: User = {
      id: randomUUID(),
      issuer,
      subject,
      isActive: true,
      createdAt: this.#now(),
      ...(input.name !== undefined && { name: input.name }),
      ...(input.email !== undefined && { email: input.email }),
    };
    const passwordHash = password === undefined ? undefined : await hashPassword(password);
    if (!(await this.#users.insert(user, passwordHash)))
      throw new RequestError('conflict', `There already is a user ${subject} of ${issuer}`);
    if (input.membership !== undefined) await this.join(user.id, input.membership);
    return made === undefined ? { user } : { user, password: made };
  }

  /** @param wanted an id, or the name of a local account */
  async find(wanted: string): Promise<UserDetails> {
    const user =
      (await this.#users.findById(wanted)) ??
      (await this.#users.findByIdentity(localIssuer, toLocalSubject(wanted)));
    if (user === undefined) throw new RequestError('not_found', `Unknown user: ${wanted}`);
    return { user, memberships: await this.#users.listMemberships(user.id) };
  }

  list(limit: number, after?: PagePosition): Promise<readonly User[]> {
    return this.#users.list(limit, after);
  }

  /** Switching off ends the user's tokens; switching on lets them sign in again. */
  async setActive(id: string, isActive: boolean): Promise<User> {
    const user = await this.#users.update(id, { isActive });
    if (user === undefined) throw new RequestError('not_found', `Unknown user: ${id}`);
    if (!isActive) await this.#revoke('user', id);
    return user;
  }

  /** Of a local account; ends what was signed in with the old one. @param password default: one that is made */
  async setPassword(id: string, password?: string): Promise<MadeUser> {
    const { user } = await this.find(id);
    if (user.issuer !== localIssuer)
      throw new RequestError('conflict', `This user signs in at ${user.issuer}, not with a password here`);
    const made = password === undefined ? createPassword() : undefined;
    await this.#users.setPasswordHash(user.id, await hashPassword(password ?? made ?? ''));
    await this.#revoke('user', user.id);
    return made === undefined ? { user } : { user, password: made };
  }

  /** Adds the user to a tenant, or changes what they are there: tokens of before end, as they say what was. */
  async join(
    id: string,
    membership: Omit<Membership, 'userId' | 'createdAt' | 'isActive'> & { readonly isActive?: boolean },
  ): Promise<UserDetails> {
    const before = await this.#users.listMemberships(id);
    const known = before.find(({ tenantId }) => tenantId === membership.tenantId);
    const isStored = await this.#users.setMembership({
      isActive: true,
      ...membership,
      userId: id,
      createdAt: known?.createdAt ?? this.#now(),
    });
    if (!isStored) throw new RequestError('not_found', 'There is no such user, or no such tenant');
    if (known !== undefined) await this.#revoke('user', id);
    return this.find(id);
  }

  async leave(id: string, tenantId: string): Promise<UserDetails> {
    if (!(await this.#users.removeMembership(id, tenantId)))
      throw new RequestError('not_found', 'This user is not in that tenant');
    await this.#revoke('user', id);
    return this.find(id);
  }
}

/** Names to sign in with are the same in any case, and however a keyboard composes them. */
export function toLocalSubject(name: string): string {
  return name.trim().normalize('NFC').toLowerCase();
}

/** A password that nobody has to think of: 100 random bits. */
export function createPassword(): string {
  // 256 is a multiple of 32: every character is as likely.
  return [...randomBytes(madePasswordLength)]
    .map((byte) => passwordAlphabet[byte % passwordAlphabet.length])
    .join('');
}

function assertSubject(subject: string, isLocal: boolean): void {
  if ((isLocal ? localSubjectPattern : subjectPattern).test(subject)) return;
  throw new RequestError(
    'request_invalid',
    isLocal
      ? 'A name to sign in with has 1 to 128 characters, no spaces, no control characters'
      : 'A subject has 1 to 255 characters, no control characters',
  );
}
