import { randomBytes } from 'node:crypto';
import { decodeJwt } from 'jose';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { RequestError } from '../../errors.ts';
import { createSealedBox, type SealedBox, toSealingKey } from '../../mcp/sealed-box.ts';
import type { RevocationKind } from '../revocation/revocation-store.ts';
import type { TenantStore } from '../tenant-store.ts';
import type { UserStore } from '../users/user-store.ts';
import { signAccessToken, type AccessTokenClaims } from './access-token.ts';
import type { SigningKeyStore } from './signing-key-store.ts';
import { createSigningKeys, publishAheadMs, type SigningKeys } from './signing-keys.ts';
import type { TokenFamilyStore } from './token-family-store.ts';
import {
  createTokenService,
  refreshWindowMs,
  successionGraceMs,
  type TokenService,
} from './token-service.ts';

/** Stores of one database, as two instances see them. */
export interface TokenServiceStores {
  readonly users: UserStore;
  readonly tenants: TenantStore;
  readonly signingKeys: SigningKeyStore;
  readonly otherSigningKeys: SigningKeyStore;
  readonly tokenFamilies: TokenFamilyStore;
  readonly otherTokenFamilies: TokenFamilyStore;
  close(): Promise<void>;
}

interface Instance {
  readonly service: TokenService;
  readonly keys: SigningKeys;
}

const issuer = 'https://mcp.example.com';
const resource = `${issuer}/mcp`;
const upstream = 'https://id.example';
const ttlMs = 3600_000;
const maxAgeMs = 30 * 24 * 3600_000;
const start = Date.parse('2027-01-01T00:00:00Z');

/** What a token service must do, whatever its stores are. */
export function describeTokenService(name: string, open: () => Promise<TokenServiceStores>): void {
  describe(`token service on ${name}`, () => {
    let stores: TokenServiceStores;
    let now: number;
    let one: Instance;
    let other: Instance;
    let revoked: { readonly kind: RevocationKind; readonly name: string; readonly at: number }[];
    let reused: string[];
    let authenticatedAt: number | undefined;

    const createInstance = (
      box: SealedBox,
      parts: { readonly signingKeys: SigningKeyStore; readonly families: TokenFamilyStore },
    ): Instance => {
      const keys = createSigningKeys({
        store: parts.signingKeys,
        box,
        keepRetiredMs: refreshWindowMs + ttlMs,
        onUnreadable: () => undefined,
        now: () => now,
      });
      const service = createTokenService({
        issuer,
        resource,
        keys,
        users: stores.users,
        families: parts.families,
        identities: {
          verifyIdentity: (token) =>
            token.startsWith('id-token-of-')
              ? Promise.resolve({
                  issuer: upstream,
                  subject: token.slice('id-token-of-'.length),
                  ...(authenticatedAt !== undefined && { authenticatedAt }),
                })
              : Promise.reject(new RequestError('invalid_token', 'The token is not valid')),
        },
        revoke: (kind, name) => {
          revoked.push({ kind, name, at: now });
          return Promise.resolve();
        },
        isRevoked: ({ sessionId, subject, issuedAt }) =>
          revoked.some(
            (each) =>
              each.at >= issuedAt &&
              ((each.kind === 'session' && each.name === sessionId) ||
                (each.kind === 'user' && each.name === subject)),
          ),
        takeAttempt: () => Promise.resolve(),
        ttlSeconds: ttlMs / 1000,
        maxAgeSeconds: maxAgeMs / 1000,
        onReuse: ({ id }) => reused.push(id),
        now: () => now,
      });
      return { service, keys };
    };

    const addUser = async (id: string, isActive = true): Promise<void> => {
      await stores.users.insert({ id, issuer: upstream, subject: id, isActive, createdAt: start });
    };
    const join = async (userId: string, tenantId: string, isActive = true): Promise<void> => {
      const scopes = ['notes', 'orders:read'];
      await stores.users.setMembership({
        userId,
        tenantId,
        role: 'merchant',
        scopes,
        isActive,
        createdAt: start,
      });
    };
    const signIn = async (service: TokenService = one.service): Promise<string> =>
      (await service.exchange({ subjectToken: 'id-token-of-ada' })).accessToken;
    const refresh = async (token: string, service: TokenService = one.service): Promise<string> =>
      (await service.refresh(token)).accessToken;
    const refused = { code: 'invalid_token', status: 401 };

    beforeEach(async () => {
      stores = await open();
      now = start;
      revoked = [];
      reused = [];
      authenticatedAt = undefined;
      for (const id of ['cafe', 'bar']) await stores.tenants.insert({ id, name: id, createdAt: start });
      await addUser('ada');
      await join('ada', 'cafe');
      const box = createSealedBox({ keys: [toSealingKey(randomBytes(32).toString('hex'))] });
      one = createInstance(box, { signingKeys: stores.signingKeys, families: stores.tokenFamilies });
      other = createInstance(box, {
        signingKeys: stores.otherSigningKeys,
        families: stores.otherTokenFamilies,
      });
    });
    afterEach(() => stores.close());

    describe('an exchange', () => {
      test('gives a token of the tenant joined first, with what the membership allows of what was asked', async () => {
        const issued = await one.service.exchange({
          subjectToken: 'id-token-of-ada',
          scopes: ['notes:read', 'orders:write'],
        });
        expect(issued).toMatchObject({ expiresIn: 3600, scopes: ['notes:read'] });
        expect(decodeJwt(issued.accessToken)).toMatchObject({
          iss: issuer,
          aud: resource,
          sub: 'ada',
          tenant: 'cafe',
          role: 'merchant',
          gty: 'token_service',
          scope: 'notes:read',
          exp: start / 1000 + 3600,
          auth_time: start / 1000,
          sid: expect.any(String),
          jti: expect.any(String),
        });
      });

      test('is for the tenant asked for, if the user is in it', async () => {
        const forBar = { subjectToken: 'id-token-of-ada', tenantId: 'bar' };
        const forbidden = { code: 'forbidden', status: 403 };
        await expect(one.service.exchange(forBar)).rejects.toMatchObject(forbidden);
        await join('ada', 'bar', false);
        await expect(one.service.exchange(forBar)).rejects.toMatchObject(forbidden);
        await join('ada', 'bar');
        expect(decodeJwt((await one.service.exchange(forBar)).accessToken)).toMatchObject({ tenant: 'bar' });
      });

      test.each<[string, () => Promise<void>]>([
        ['nobody knows', () => Promise.resolve()],
        ['is inactive', () => addUser('bob', false).then(() => join('bob', 'cafe'))],
        ['is in no tenant', () => addUser('bob')],
        ['is inactive in the tenant', () => addUser('bob').then(() => join('bob', 'cafe', false))],
      ])('is refused with 403 to a user who %s', async (_, prepare) => {
        await prepare();
        await expect(one.service.exchange({ subjectToken: 'id-token-of-bob' })).rejects.toMatchObject({
          code: 'forbidden',
          status: 403,
        });
      });

      test('is refused with 401 for an ID token that does not verify, with 403 when nothing asked for is allowed', async () => {
        await expect(one.service.exchange({ subjectToken: 'forged' })).rejects.toMatchObject(refused);
        await expect(
          one.service.exchange({ subjectToken: 'id-token-of-ada', scopes: ['admin'] }),
        ).rejects.toMatchObject({ code: 'forbidden' });
      });

      test('counts the age of the sign-in, not of the exchange', async () => {
        authenticatedAt = start - maxAgeMs + 60_000;
        const { accessToken, expiresIn } = await one.service.exchange({ subjectToken: 'id-token-of-ada' });
        expect(expiresIn).toBe(60);
        now += 60_000;
        await expect(one.service.refresh(accessToken)).rejects.toMatchObject(refused);
        await expect(one.service.exchange({ subjectToken: 'id-token-of-ada' })).rejects.toMatchObject(
          refused,
        );
      });
    });

    describe('a refresh', () => {
      test('reads memberships anew, and spends nothing while they forbid it', async () => {
        const token = await signIn();
        await join('ada', 'cafe', false);
        await expect(one.service.refresh(token)).rejects.toMatchObject({ code: 'forbidden', status: 403 });
        now += successionGraceMs * 2;
        await expect(other.service.refresh(token)).rejects.toMatchObject({ code: 'forbidden' });
        await stores.users.setMembership({
          userId: 'ada',
          tenantId: 'cafe',
          role: 'tenant_developer',
          scopes: ['notes:read'],
          isActive: true,
          createdAt: start,
        });
        expect(decodeJwt(await refresh(token))).toMatchObject({
          role: 'tenant_developer',
          scope: 'notes:read',
        });
        expect(reused).toEqual([]);
      });

      test.each([
        ['the last moment of 7 days', refreshWindowMs, true],
        ['a millisecond later', refreshWindowMs + 1, false],
      ])('is given until 7 days after the end: %s', async (_, late, isGiven) => {
        const token = await signIn();
        now = start + ttlMs + late;
        const outcome = refresh(token);
        await (isGiven
          ? expect(outcome).resolves.toEqual(expect.any(String))
          : expect(outcome).rejects.toMatchObject(refused));
      });

      test('ends with the age of the sign-in, however often it was repeated', async () => {
        let token = await signIn();
        const { sid } = decodeJwt(token);
        while (now + refreshWindowMs < start + maxAgeMs) {
          now += refreshWindowMs;
          token = await refresh(token);
          expect(decodeJwt(token)).toMatchObject({ sid, auth_time: start / 1000 });
        }
        now = start + maxAgeMs - 10_000;
        const last = await one.service.refresh(token);
        expect(last.expiresIn).toBe(10);
        now = start + maxAgeMs;
        await expect(one.service.refresh(last.accessToken)).rejects.toMatchObject(refused);
      });

      test('raced by one client on two instances makes one successor', async () => {
        const token = await signIn();
        const tokens = await Promise.all(
          Array.from({ length: 10 }, (_, n) => refresh(token, n % 2 === 0 ? one.service : other.service)),
        );
        expect(new Set(tokens.map((each) => decodeJwt(each).jti)).size).toBe(1);
        expect(reused).toEqual([]);
        await expect(refresh(tokens[9] as string, other.service)).resolves.toEqual(expect.any(String));
      });

      test('repeated within the grace is good, and after it ends the family on every instance', async () => {
        const first = await signIn();
        const second = await refresh(first);
        now += successionGraceMs;
        expect(decodeJwt(await refresh(first, other.service)).jti).toBe(decodeJwt(second).jti);
        now += 1;
        await expect(other.service.refresh(first)).rejects.toMatchObject(refused);
        const { sid } = decodeJwt(first);
        expect(reused).toEqual([sid]);
        expect(revoked).toMatchObject([{ kind: 'session', name: sid }]);
        await expect(one.service.refresh(second)).rejects.toMatchObject(refused);
        // A new sign-in is another family.
        now += 1000;
        await expect(refresh(await signIn())).resolves.toEqual(expect.any(String));
      });

      test('of a user who was revoked is refused', async () => {
        const token = await signIn();
        revoked.push({ kind: 'user', name: 'ada', at: now });
        await expect(one.service.refresh(token)).rejects.toMatchObject(refused);
      });

      const goodClaims = (): AccessTokenClaims => ({
        subject: 'ada',
        tokenId: 'jti',
        grant: 'token_service',
        scopes: ['notes'],
        tenantId: 'cafe',
        role: 'merchant',
        issuedAt: now,
        expiresAt: now + ttlMs,
        sessionId: 'sid',
      });

      const good = { issuer, resource };
      test.each<[string, Partial<AccessTokenClaims>, typeof good]>([
        ['one that an OAuth client got', { grant: 'authorization_server' }, good],
        ['one for another resource', {}, { ...good, resource: `${issuer}/other` }],
        ['one of another issuer with our key', {}, { ...good, issuer: 'https://evil.example' }],
        ['one of a family that never was', { sessionId: 'sid' }, good],
        ['one that never was', { tokenId: 'jti' }, good],
      ])('takes only tokens of this service: not %s', async (_, changes, parties) => {
        // But for the one change, it is the newest token of a living family.
        const { jti, sid } = decodeJwt(await signIn());
        const claims = { ...goodClaims(), tokenId: String(jti), sessionId: String(sid) };
        const sign = (changed: Partial<AccessTokenClaims>, by: typeof good): Promise<string> =>
          signAccessToken({ ...claims, ...changed }, { ...by, keys: one.keys });
        await expect(one.service.refresh(await sign(changes, parties))).rejects.toMatchObject(refused);
        await expect(refresh(await sign({}, good))).resolves.toEqual(expect.any(String));
      });

      test.each(['x', 'x'.repeat(10_000), ''])('takes nothing that is no token', async (text) => {
        await expect(one.service.refresh(text)).rejects.toMatchObject(refused);
      });

      test('takes no token whose signature, header or claims were altered', async () => {
        const [header, claims, signature] = (await signIn()).split('.') as [string, string, string];
        const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
        const parsed = JSON.parse(Buffer.from(claims, 'base64url').toString()) as object;
        for (const forged of [
          `${header}.${encode({ ...parsed, tenant: 'bar' })}.${signature}`,
          `${encode({ alg: 'none', typ: 'at+jwt' })}.${claims}.`,
          `${encode({ alg: 'HS256', typ: 'at+jwt', kid: (await one.keys.current()).id })}.${claims}.${signature}`,
        ]) {
          await expect(one.service.refresh(forged)).rejects.toMatchObject(refused);
        }
      });

      test('takes no token of a family for another family', async () => {
        const [mine, theirs] = [decodeJwt(await signIn()), decodeJwt(await signIn())];
        const mixed = await signAccessToken(
          { ...goodClaims(), tokenId: String(mine.jti), sessionId: String(theirs['sid']) },
          { issuer, resource, keys: one.keys },
        );
        await expect(one.service.refresh(mixed)).rejects.toMatchObject(refused);
      });
    });

    test('keys rotate while two instances serve: every token is refreshed by either, none is refused', async () => {
      let token = await signIn();
      const first = await one.keys.current();
      const next = await other.keys.rotate();
      for (let step = 0; step <= publishAheadMs + 60_000; step += 30_000) {
        now = start + step;
        token = await refresh(token, step % 60_000 === 0 ? one.service : other.service);
        const published = await Promise.all([one.keys.publicKeys(), other.keys.publicKeys()]);
        const { kid } = JSON.parse(Buffer.from(token.split('.', 1)[0] ?? '', 'base64url').toString()) as {
          readonly kid: string;
        };
        for (const keys of published) expect(keys.map((key) => key.kid)).toContain(kid);
      }
      expect((await one.keys.current()).id).toBe(next.id);
      expect((await other.keys.current()).id).toBe(next.id);
      expect(next.id).not.toBe(first.id);
      // The old key still verifies for as long as anything it signed may be presented.
      expect(await one.keys.find(first.id)).toBeDefined();
    });

    test('whatever a client and a thief do: one living newest token, and reuse is the end of all', async () => {
      const step = fc.record({
        which: fc.nat(8),
        waitMs: fc.constantFrom(0, 1000, successionGraceMs, successionGraceMs + 1),
        isOnOther: fc.boolean(),
      });
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
          revoked = [];
          const tokens = [await signIn()];
          /** When each was succeeded, by its place. */
          const succeededAt: number[] = [];
          let isOver = false;
          for (const { which, waitMs, isOnOther } of steps) {
            now += waitMs;
            const index = which % tokens.length;
            const at = succeededAt[index];
            const outcome = await refresh(tokens[index] as string, (isOnOther ? other : one).service).then(
              (token) => token,
              (error: unknown) => error as RequestError,
            );
            if (at !== undefined && now - at > successionGraceMs) isOver = true;
            if (isOver) {
              expect(outcome).toMatchObject(refused);
            } else if (at === undefined) {
              succeededAt[index] = now;
              tokens.push(outcome as string);
            } else {
              const newest = tokens.at(-1) as string;
              expect(decodeJwt(outcome as string).jti).toBe(decodeJwt(newest).jti);
            }
          }
          now += 1000;
        }),
        { numRuns: 20 },
      );
    }, 60_000);
  });
}
