import { sql } from 'kysely';
import type {
  Revocation,
  RevocationEvent,
  RevocationKind,
  RevocationStore,
} from '../auth/revocation/revocation-store.ts';
import { runQuery } from './database-error.ts';
import type { Database } from './open-database.ts';
import { removeRows } from './remove-rows.ts';
import type { RevocationRow } from './tables.ts';
import { takeRevision } from './take-revision.ts';

const table = 'mcp_revocation';

/** Revocations in SQLite or PostgreSQL. */
export class SqlRevocationStore implements RevocationStore {
  readonly #database: Database;
  readonly #listeners = new Set<(event: RevocationEvent) => void>();

  constructor(database: Database) {
    this.#database = database;
  }

  async insert(given: Omit<Revocation, 'revision'>): Promise<Revocation> {
    const { kind, name, revokedAt, expiresAt } = given;
    const row = await runQuery(() =>
      this.#database.kysely.transaction().execute(async (transaction) => {
        const revision = await takeRevision(transaction, this.#database.kind, table);
        return transaction
          .insertInto(table)
          .values({ kind, name, revoked_at: revokedAt, expires_at: expiresAt, revision })
          .onConflict((conflict) =>
            conflict.columns(['kind', 'name']).doUpdateSet({
              revoked_at: toLater('revoked_at'),
              expires_at: toLater('expires_at'),
              revision,
            }),
          )
          .returningAll()
          .executeTakeFirstOrThrow();
      }),
    );
    const revocation = toRevocation(row);
    for (const listener of this.#listeners) listener({ kind: 'changed', revocation });
    return revocation;
  }

  async loadRevision(): Promise<number> {
    const row = await runQuery(() =>
      this.#database.kysely
        .selectFrom('mcp_revocation_revision')
        .select('revision')
        .executeTakeFirstOrThrow(),
    );
    return row.revision;
  }

  async listChanges(revision: number, limit: number): Promise<readonly Revocation[]> {
    const query = this.#database.kysely.selectFrom(table).selectAll().where('revision', '>', revision);
    const rows = await runQuery(() => query.orderBy('revision').limit(limit).execute());
    return rows.map(toRevocation);
  }

  readMarker(): number | undefined {
    return this.#database.readMarker();
  }

  onChange(listener: (event: RevocationEvent) => void): () => void {
    this.#listeners.add(listener);
    const stop = this.#database.listen(table, () => listener({ kind: 'unknown' }));
    return () => {
      stop();
      this.#listeners.delete(listener);
    };
  }

  removeExpired(now: number): Promise<number> {
    return removeRows(this.#database.kysely, {
      table,
      keys: ['kind', 'name'],
      where: sql`expires_at <= ${now}`,
    });
  }
}

/** Of what is stored and what is given. The two databases have no word for it in common. */
function toLater(column: 'revoked_at' | 'expires_at') {
  const stored = sql.ref(`${table}.${column}`);
  const given = sql.ref(`excluded.${column}`);
  return sql<number>`case when ${stored} > ${given} then ${stored} else ${given} end`;
}

function toRevocation(row: RevocationRow): Revocation {
  return {
    // Only ever written by `insert`.
    kind: row.kind as RevocationKind,
    name: row.name,
    revokedAt: row.revoked_at,
    expiresAt: row.expires_at,
    revision: row.revision,
  };
}
