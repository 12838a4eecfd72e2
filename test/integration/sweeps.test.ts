/** What hosts forget by themselves, every hour: what signing in kept and nobody can use any more. */
import { afterEach, beforeEach, describe, expect, type MockInstance, test, vi } from 'vitest';
import { createIssuerKey, signToken } from '../../src/auth/issuers/test-issuer.contract.ts';
import { type Database, openDatabase } from '../../src/database/open-database.ts';
import type { Identity } from '../../src/identity.ts';
import { openTokenUpkeep } from '../../src/token-upkeep.ts';
import {
  answerOf,
  begin,
  bodyOf,
  redirectUri,
  register,
  TestBrowser,
  toRedemption,
  toRefresh,
} from '../authorization-server.ts';
import { useDatabaseTargets } from '../database-targets.ts';
import { type IssuerServer, startIssuerServer } from '../issuer-server.ts';
import { openTestHost, type TestHost } from '../test-host.ts';

const hourMs = 3_600_000;
/** Longer than anything is kept. */
const longMs = 400 * 24 * hourMs;
/** Shorter than anything is kept. */
const shortMs = 20_000;
const patience = { timeout: 10_000, interval: 20 };

const tables = [
  'mcp_oauth_record',
  'mcp_oauth_client',
  'mcp_token_family',
  'mcp_token_succession',
  'mcp_signing_key',
] as const;

/** One of the two that sweep. */
interface Side {
  readonly name: string;
  readonly auth: string;
  /** Does what leaves something in the tables that it sweeps. */
  readonly use: (client: string) => Promise<void>;
  readonly tables: readonly (typeof tables)[number][];
  /** The first thing that a sweep does. */
  readonly spy: (identity: Identity) => MockInstance<(before: number) => Promise<number>>;
  /** What a sweep that fails is logged as. */
  readonly event: string;
}

let issuer: IssuerServer;
let database: Database;
let open: TestHost;
let identity: Identity;
const issuerKey = await createIssuerKey('k1');

const sides: readonly Side[] = [
  {
    name: 'signing in',
    auth: 'oauth',
    use: signIn,
    tables: ['mcp_oauth_record', 'mcp_oauth_client', 'mcp_signing_key'],
    spy: ({ oauth }) => vi.spyOn(oauth, 'removeExpired'),
    event: 'oauth.failed',
  },
  {
    name: 'exchanging tokens',
    auth: 'keys',
    use: exchange,
    tables: ['mcp_token_family', 'mcp_token_succession', 'mcp_signing_key'],
    spy: ({ tokenFamilies }) => vi.spyOn(tokenFamilies, 'removeEnded'),
    event: 'auth.token_sweep_failed',
  },
];

describe.each(
  useDatabaseTargets().flatMap(([database, makeTarget]) =>
    sides.map((side) => [side.name, database, side, makeTarget] as const),
  ),
)('%s, on %s', (_name, _database, side, makeTarget) => {
  const { auth, use, tables: swept, spy, event } = side;

  beforeEach(async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date'], shouldAdvanceTime: true });
    issuer = await startIssuerServer([issuerKey.jwk]);
    const target = await makeTarget();
    const records = [{ name: 'shop', issuer: issuer.url, audience: 'shop-1', uses: ['identity'] }];
    open = await openTestHost({
      environment: { AUTH: auth, ...(auth === 'keys' && { TRUSTED_ISSUERS: JSON.stringify(records) }) },
      target,
    });
    database = await openDatabase(target);
    await open.ask('/health');
    if (open.host.identity === undefined) throw new Error('a host over HTTP has an identity');
    ({ identity } = open.host);
    const [tenant] = await identity.tenants.list(1);
    await identity.userService.create({
      issuer: issuer.url,
      subject: 'ada',
      membership: { tenantId: tenant?.id ?? '', role: 'member', scopes: ['*'] },
    });
  });
  afterEach(async () => {
    await open.close();
    await database.close();
    await issuer.close();
    vi.useRealTimers();
  });

  test('every hour what is over is forgotten, and nothing else', async () => {
    await use('one');
    await rotateKeys();
    const old = await readRows();
    for (const table of swept) expect([table, old[table].length]).not.toEqual([table, 0]);
    vi.setSystemTime(Date.now() + longMs);
    vi.advanceTimersByTime(hourMs - shortMs);
    await use('another');
    await rotateKeys();
    const before = await readRows();
    // The one that signed until now may have signed a token that is still good.
    const lastSigning = old.mcp_signing_key.at(-1) ?? 'none';
    const expected = swept.map((table) =>
      before[table].filter((row) => !old[table].includes(row) || row === lastSigning),
    );
    vi.advanceTimersByTime(shortMs);
    await vi.waitFor(async () => {
      const rows = await readRows();
      expect(swept.map((table) => rows[table])).toEqual(expected);
    }, patience);
    await use('another');
  });

  test('one that fails is told in the log, and the next one does the rest', async () => {
    await use('one');
    vi.setSystemTime(Date.now() + longMs);
    const removal = spy(identity).mockRejectedValueOnce(new Error('the disk is gone'));
    vi.advanceTimersByTime(hourMs);
    await vi.waitFor(() => {
      const told = open.lines.filter((line) => line.includes(`"${event}"`));
      expect(told).toEqual([expect.stringContaining('the disk is gone')]);
    }, patience);
    expect(removal).toHaveBeenCalledOnce();
    expect((await open.ask('/health')).status).toBe(200);
    vi.advanceTimersByTime(hourMs);
    const [table = 'mcp_signing_key'] = swept;
    await vi.waitFor(async () => expect((await readRows())[table]).toEqual([]), patience);
  });

  test('a host that is closed while it sweeps fails at nothing, and sweeps no more', async () => {
    const removal = spy(identity);
    vi.advanceTimersByTime(hourMs);
    expect(removal).toHaveBeenCalledOnce();
    await open.host.close();
    vi.advanceTimersByTime(2 * hourMs);
    expect(removal).toHaveBeenCalledOnce();
    expect(vi.getTimerCount()).toBe(0);
    expect(open.lines.filter((line) => line.includes('"level":"error"'))).toEqual([]);
  });
});

/** Everything from registration to tokens that were refreshed. */
async function signIn(client: string): Promise<void> {
  const clientId = await register(open, { client_name: client, redirect_uris: [redirectUri] });
  const attempt = begin(clientId, redirectUri);
  const who = { name: 'admin', password: open.host.firstUser?.password ?? '' };
  const code = answerOf(await new TestBrowser(open).authorize(attempt.url, who)).get('code') ?? '';
  const tokens = await open.ask('/oauth/token', { body: toRedemption(attempt, code) });
  const refreshed = await open.ask('/oauth/token', {
    body: toRefresh(clientId, bodyOf(tokens)['refresh_token']),
  });
  expect(refreshed.status).toBe(200);
}

async function exchange(): Promise<void> {
  const claims = { iss: issuer.url, aud: 'shop-1', header: { typ: 'JWT' } };
  const body = JSON.stringify({ firebaseIdToken: await signToken(issuerKey, claims) });
  const exchanged = await open.ask('/mcp/token', { body });
  const token = bodyOf(exchanged)['accessToken'];
  const refreshed = await open.ask('/mcp/token/refresh', { body: JSON.stringify({ token }) });
  expect(refreshed.status).toBe(200);
}

/** The key that signed is retired from now on. */
async function rotateKeys(): Promise<void> {
  const upkeep = await openTokenUpkeep(open.config, open.secrets);
  await upkeep.rotateKeys(true);
  await upkeep.close();
}

/** What each table holds: of each row what it is known by. */
async function readRows(): Promise<Record<(typeof tables)[number], string[]>> {
  const { kysely } = database;
  const [records, clients, families, successions, keys] = await Promise.all([
    kysely.selectFrom('mcp_oauth_record').select(['model', 'id_hash']).execute(),
    kysely.selectFrom('mcp_oauth_client').select('id').execute(),
    kysely.selectFrom('mcp_token_family').select('id').execute(),
    kysely.selectFrom('mcp_token_succession').select(['family_id', 'token_id']).execute(),
    kysely.selectFrom('mcp_signing_key').select('id').orderBy('position').execute(),
  ]);
  const toTexts = (rows: readonly object[]): string[] => rows.map((row) => Object.values(row).join(' '));
  return {
    mcp_oauth_record: toTexts(records).toSorted(),
    mcp_oauth_client: toTexts(clients).toSorted(),
    mcp_token_family: toTexts(families).toSorted(),
    mcp_token_succession: toTexts(successions).toSorted(),
    mcp_signing_key: toTexts(keys),
  };
}
