import { createClient, type RedisClientType } from 'redis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { ValidatedToken } from '../../src/auth/issuers/validated-tokens.ts';
import { createSealedBox, toSealingKey } from '../../src/mcp/sealed-box.ts';
import { openRedis, type RedisConnection } from '../../src/redis/redis-connection.ts';
import { createRedisReplayGuard } from '../../src/redis/redis-replay-guard.ts';
import { createRedisValidatedTokens } from '../../src/redis/redis-validated-tokens.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import { type RedisServer, startRedis } from '../redis-server.ts';

const box = createSealedBox({ keys: [toSealingKey('ab'.repeat(32))] });
let server: RedisServer;
let control: RedisClientType;
const connections: RedisConnection[] = [];

async function connect(): Promise<RedisConnection> {
  const connection = await openRedis({ url: server.url, logger: createLogger({ level: 'silent' }) });
  connections.push(connection);
  return connection;
}

beforeAll(async () => {
  server = await startRedis();
  control = createClient({ url: server.url });
  await control.connect();
});

afterAll(async () => {
  for (const connection of connections) await connection.close();
  control.destroy();
  await server.stop();
});

function toToken(lifeMs: number): ValidatedToken {
  return {
    principal: {
      kind: 'user',
      subject: 'id|ada-lovelace',
      credentialId: 't1',
      tenantIds: ['acme'],
      activeTenantId: 'acme',
      role: 'merchant',
      scopes: ['notes:read'],
      expiresAt: Date.now() + lifeMs,
      token: { issuer: 'https://id.example', issuedAt: 1 },
    },
    validatedAt: Date.now(),
  };
}

it('gives a token that one instance validated to another, sealed, and for a minute at most', async () => {
  const here = createRedisValidatedTokens({ redis: await connect(), box, trust: 'x' });
  const there = createRedisValidatedTokens({ redis: await connect(), box, trust: 'x' });
  const token = toToken(3_600_000);
  await here.save('hash-1', token);
  expect(await there.load('hash-1')).toEqual(token);
  expect(await there.load('hash-2')).toBeUndefined();
  expect(await control.pTTL('mcp:token:hash-1')).toBeLessThanOrEqual(60_000);
  expect(await control.get('mcp:token:hash-1')).not.toContain('lovelace');
});

it('keeps a token no longer than it lives', async () => {
  const here = createRedisValidatedTokens({ redis: await connect(), box, trust: 'x' });
  await here.save('hash-3', toToken(20_000));
  expect(await control.pTTL('mcp:token:hash-3')).toBeLessThanOrEqual(20_000);
  await here.save('hash-4', toToken(-1));
  expect(await here.load('hash-4')).toBeUndefined();
});

it('opens no entry that was put elsewhere, changed, or made by who trusts other issuers', async () => {
  const here = createRedisValidatedTokens({ redis: await connect(), box, trust: 'x' });
  await here.save('hash-5', toToken(60_000));
  const sealed = (await control.get('mcp:token:hash-5')) ?? '';
  await control.set('mcp:token:hash-6', sealed);
  expect(await here.load('hash-6')).toBeUndefined();
  await control.set('mcp:token:hash-5', `${sealed}x`);
  expect(await here.load('hash-5')).toBeUndefined();
  await here.save('hash-7', toToken(60_000));
  const other = createRedisValidatedTokens({ redis: await connect(), box, trust: 'y' });
  expect(await other.load('hash-7')).toBeUndefined();
});

it('lets one of many claim a name, on whichever instance, and again only after its time', async () => {
  const guards = [createRedisReplayGuard(await connect()), createRedisReplayGuard(await connect())];
  const claims = await Promise.all(
    Array.from({ length: 40 }, async (_, index) => guards[index % 2]?.claim('p', 60_000)),
  );
  expect(claims.filter(Boolean)).toHaveLength(1);
  expect(await control.pTTL('mcp:proof:p')).toBeLessThanOrEqual(60_000);
});
