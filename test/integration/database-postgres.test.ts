import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { describeApiKeyStore } from '../../src/auth/api-key-store.contract.ts';
import { KeyAuthenticator } from '../../src/auth/key-authenticator.ts';
import { KeyService } from '../../src/auth/key-service.ts';
import { describeServiceClientStore } from '../../src/auth/clients/service-client-store.contract.ts';
import { describeOauthStore } from '../../src/auth/oauth-store.contract.ts';
import { describeRevocationStore } from '../../src/auth/revocation/revocation-store.contract.ts';
import { describeTenantStore } from '../../src/auth/tenant-store.contract.ts';
import { describeSigningKeyStore } from '../../src/auth/tokens/signing-key-store.contract.ts';
import { describeTokenFamilyStore } from '../../src/auth/tokens/token-family-store.contract.ts';
import { describeUserStore } from '../../src/auth/users/user-store.contract.ts';
import { migrations } from '../../src/database/migrations/index.ts';
import { openDatabase } from '../../src/database/open-database.ts';
import { openPostgres } from '../../src/database/open-postgres.ts';
import { SqlApiKeyStore } from '../../src/database/sql-api-key-store.ts';
import { SqlOauthStore } from '../../src/database/sql-oauth-store.ts';
import { SqlRevocationStore } from '../../src/database/sql-revocation-store.ts';
import { SqlServiceClientStore } from '../../src/database/sql-service-client-store.ts';
import { SqlSigningKeyStore } from '../../src/database/sql-signing-key-store.ts';
import { SqlTenantStore } from '../../src/database/sql-tenant-store.ts';
import { SqlTokenFamilyStore } from '../../src/database/sql-token-family-store.ts';
import { SqlUserStore } from '../../src/database/sql-user-store.ts';
import { ConfigError, UpstreamError } from '../../src/errors.ts';
import { type PostgresServer, startPostgres } from '../embedded-postgres.ts';

const operator = { kind: 'operator' } as const;
const input = { tenantId: 'cafe', name: 'till', scopes: ['*'], role: 'merchant' };

let server: PostgresServer;

beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.remove());

async function openTwice() {
  const url = await server.createDatabase();
  const [one, other] = await Promise.all([
    openDatabase({ kind: 'postgres', url }),
    openDatabase({ kind: 'postgres', url }),
  ]);
  return {
    one,
    other,
    keys: new SqlApiKeyStore(one),
    otherKeys: new SqlApiKeyStore(other),
    tenants: new SqlTenantStore(one),
    otherTenants: new SqlTenantStore(other),
    oauth: new SqlOauthStore(one),
    otherOauth: new SqlOauthStore(other),
    revocations: new SqlRevocationStore(one),
    otherRevocations: new SqlRevocationStore(other),
    signingKeys: new SqlSigningKeyStore(one),
    otherSigningKeys: new SqlSigningKeyStore(other),
    tokenFamilies: new SqlTokenFamilyStore(one),
    otherTokenFamilies: new SqlTokenFamilyStore(other),
    users: new SqlUserStore(one),
    otherUsers: new SqlUserStore(other),
    serviceClients: new SqlServiceClientStore(one),
    otherServiceClients: new SqlServiceClientStore(other),
    close: async () => {
      await one.close();
      await other.close();
    },
  };
}

describeApiKeyStore('PostgreSQL', openTwice);
describeTenantStore('PostgreSQL', openTwice);
describeOauthStore('PostgreSQL', openTwice);
describeRevocationStore('PostgreSQL', openTwice);
describeSigningKeyStore('PostgreSQL', openTwice);
describeTokenFamilyStore('PostgreSQL', openTwice);
describeUserStore('PostgreSQL', openTwice);
describeServiceClientStore('PostgreSQL', openTwice);

describe('opening PostgreSQL', () => {
  test('many instances at once on an empty database bring up one schema', async () => {
    const url = await server.createDatabase();
    const opened = await Promise.all(
      Array.from({ length: 8 }, () => openDatabase({ kind: 'postgres', url })),
    );
    await Promise.all(opened.map((database) => database.check()));
    const migrated = opened[0]?.kysely.selectFrom('mcp_migration').select('name').orderBy('name');
    expect(await migrated?.execute()).toEqual(migrations.map(({ name }) => ({ name })));
    expect(await opened[0]?.kysely.selectFrom('mcp_api_key_revision').selectAll().execute()).toEqual([
      { id: 1, revision: 0 },
    ]);
    await Promise.all(opened.map((database) => database.close()));
  });

  test('starts beside a newer version that has migrated further', async () => {
    const url = await server.createDatabase();
    const newer = await openDatabase({ kind: 'postgres', url });
    await newer.kysely
      .insertInto('mcp_migration')
      .values({ name: '999-from-the-future', applied_at: 1 })
      .execute();
    const older = await openDatabase({ kind: 'postgres', url });
    await older.check();
    await older.close();
    await newer.close();
  });

  test('a refused password and a missing database are the configuration, in one sentence without the password', async () => {
    const url = await server.createDatabase();
    const wrongPassword = openDatabase({ kind: 'postgres', url: url.replace(':test@', ':s3cret@') });
    await expect(wrongPassword).rejects.toBeInstanceOf(ConfigError);
    await expect(wrongPassword).rejects.toThrow(
      /^DATABASE_URL: PostgreSQL at 127\.0\.0\.1:\d+ refused the password$/,
    );
    await expect(openDatabase({ kind: 'postgres', url: `${url}x` })).rejects.toThrow(
      /has no database of this name/,
    );
  });

  test('a server that is not there is told as such', async () => {
    const opening = openDatabase({ kind: 'postgres', url: 'postgres://me:s3cret@127.0.0.1:1/x' });
    await expect(opening).rejects.toBeInstanceOf(UpstreamError);
    await expect(opening).rejects.toThrow(/^Cannot reach PostgreSQL at 127\.0\.0\.1:1/);
  });

  test.each(['', 'x', 'mysql://localhost/x', 'postgres://['])('%j is not a database URL', async (url) => {
    await expect(openDatabase({ kind: 'postgres', url })).rejects.toBeInstanceOf(ConfigError);
  });
});

describe('a key in use on another instance', () => {
  test('stops everywhere soon after it is revoked, pushed rather than polled', async () => {
    const { keys, otherKeys, tenants, otherTenants, close } = await openTwice();
    await tenants.insert({ id: 'cafe', name: 'Cafe', createdAt: 1 });
    const service = new KeyService({ keys, tenants });
    const serviceElsewhere = new KeyService({ keys: otherKeys, tenants: otherTenants });
    // Sweeps and so polls hardly ever: what is noticed, was pushed.
    const authenticator = new KeyAuthenticator({ keys, sweepIntervalMs: 60_000 });
    const ended: string[] = [];
    authenticator.onRevoked((id) => ended.push(id));
    await serviceElsewhere.create(operator, input);
    const { key, secret } = await service.create(operator, input);
    await authenticator.authenticate(secret);
    await serviceElsewhere.revoke(operator, key.id);
    await expect.poll(() => ended, { timeout: 900, interval: 5 }).toEqual([key.id]);
    await expect(Promise.resolve().then(() => authenticator.authenticate(secret))).rejects.toMatchObject({
      code: 'invalid_token',
    });
    await authenticator.close();
    await close();
  });

  test('stops within a second where nothing can be pushed', async () => {
    const { one, keys, otherKeys, tenants, otherTenants, close } = await openTwice();
    await tenants.insert({ id: 'cafe', name: 'Cafe', createdAt: 1 });
    const deaf = new SqlApiKeyStore({ ...one, listen: () => () => undefined });
    const authenticator = new KeyAuthenticator({ keys: deaf });
    const ended: string[] = [];
    authenticator.onRevoked((id) => ended.push(id));
    const { key, secret } = await new KeyService({ keys, tenants }).create(operator, input);
    await authenticator.authenticate(secret);
    await new KeyService({ keys: otherKeys, tenants: otherTenants }).revoke(operator, key.id);
    const revokedAt = performance.now();
    await expect.poll(() => ended, { timeout: 3000, interval: 5 }).toEqual([key.id]);
    expect(performance.now() - revokedAt).toBeLessThan(1500);
    await authenticator.close();
    await close();
  });
});

test('a server that restarts is an outage, not a wrong key; then everything works again, pushes too', async () => {
  const { one, keys, otherKeys, tenants, otherTenants, close } = await openTwice();
  await tenants.insert({ id: 'cafe', name: 'Cafe', createdAt: 1 });
  const service = new KeyService({ keys, tenants });
  const known = await service.create(operator, input);
  const unknown = await service.create(operator, input);
  const errors: unknown[] = [];
  const authenticator = new KeyAuthenticator({ keys, onError: (error) => errors.push(error) });
  const accept = async (secret: string) => authenticator.authenticate(secret);
  await accept(known.secret);

  await server.stop();
  await expect(one.check()).rejects.toBeInstanceOf(UpstreamError);
  await expect(accept(unknown.secret)).rejects.toBeInstanceOf(UpstreamError);
  expect(await accept(known.secret)).toMatchObject({ credentialId: known.key.id });

  await server.restart();
  await expect
    .poll(
      () =>
        one.check().then(
          () => 'up',
          () => 'down',
        ),
      { timeout: 10_000 },
    )
    .toBe('up');
  await expect
    .poll(() =>
      accept(unknown.secret).then(
        () => 'accepted',
        () => 'refused',
      ),
    )
    .toBe('accepted');
  const ended: string[] = [];
  authenticator.onRevoked((id) => ended.push(id));
  await new KeyService({ keys: otherKeys, tenants: otherTenants }).revoke(operator, known.key.id);
  await expect.poll(() => ended, { timeout: 15_000 }).toEqual([known.key.id]);
  await authenticator.close();
  await close();
});

test('connections to a server that vanished without a word are not used again', async () => {
  const url = new URL(await server.createDatabase());
  const { port, hostname } = url;
  const sockets: Socket[] = [];
  const proxy = createServer((socket) => {
    const upstream = connect(Number(port), hostname);
    for (const end of [socket, upstream]) end.on('error', () => undefined);
    socket.pipe(upstream).pipe(socket);
    sockets.push(socket, upstream);
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  url.port = String((proxy.address() as AddressInfo).port);
  const database = await openPostgres(url.href, 300);
  await Promise.all(Array.from({ length: 5 }, () => database.check()));
  expect(sockets.length).toBeGreaterThan(2);
  // Nothing passes on the connections there are, in either direction, and nobody is told.
  for (const socket of sockets) socket.unpipe().pause();
  const frozen = sockets.length;
  await expect(Promise.all(Array.from({ length: 5 }, () => database.check()))).rejects.toBeInstanceOf(
    UpstreamError,
  );
  await expect
    .poll(
      () =>
        database.check().then(
          () => 'up',
          () => 'down',
        ),
      { timeout: 3000 },
    )
    .toBe('up');
  await Promise.all(Array.from({ length: 10 }, () => database.check()));
  expect(sockets.length).toBeGreaterThan(frozen);
  await database.close();
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => proxy.close(resolve));
});
