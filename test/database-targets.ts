/** The databases that a test file runs on: the same tests on SQLite and on PostgreSQL. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { type Database, type DatabaseTarget, openDatabase } from '../src/database/open-database.ts';
import type { Tables } from '../src/database/tables.ts';
import { type PostgresServer, startPostgres } from './embedded-postgres.ts';

/** What a database is called, and what makes an empty one of it. */
export type NamedTarget = readonly [name: string, makeTarget: () => Promise<DatabaseTarget>];

/** Whether a table's rows are a test's. Those that refer to others come first. */
const isEmptied: Readonly<Record<keyof Tables, boolean>> = {
  mcp_token_succession: true,
  mcp_token_family: true,
  mcp_membership: true,
  mcp_api_key: true,
  mcp_user: true,
  mcp_service_client: true,
  mcp_tenant: true,
  mcp_signing_key: true,
  mcp_revocation: true,
  mcp_oauth_record: true,
  mcp_oauth_client: true,
  // Counters, of which only the next number matters, and what the schema is.
  mcp_api_key_revision: false,
  mcp_revocation_revision: false,
  mcp_migration: false,
};

/**
 * For `describe.each`: both are there from before the first test of the file until after the last. A target is good
 * until the next one is made, because on PostgreSQL they are one database, emptied: to make one takes longer than most
 * tests.
 */
export function useDatabaseTargets(): readonly [sqlite: NamedTarget, postgres: NamedTarget] {
  let postgres: PostgresServer;
  let url: string;
  let shared: Database;
  let folder: string;
  let files = 0;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'mooring-database-'));
    postgres = await startPostgres();
    url = await postgres.createDatabase();
    shared = await openDatabase({ kind: 'postgres', url });
  });
  afterAll(async () => {
    await shared.close();
    await postgres.remove();
    rmSync(folder, { recursive: true, force: true });
  });
  return [
    // A folder of its own, as a host has it.
    [
      'SQLite',
      () => Promise.resolve({ kind: 'sqlite', path: join(folder, `${(files += 1)}`, 'mooring.db') }),
    ],
    [
      'PostgreSQL',
      async () => {
        await empty(shared);
        return { kind: 'postgres', url };
      },
    ],
  ];
}

async function empty({ kysely }: Database): Promise<void> {
  // The keys of the object are the names of the tables.
  const tables = (Object.keys(isEmptied) as (keyof Tables)[]).filter((table) => isEmptied[table]);
  for (const table of tables) await kysely.deleteFrom(table).execute();
}
