import type { PostgresPool, PostgresPoolClient } from 'kysely';
import type { Pool, PoolClient } from 'pg';

/**
 * A pool that does not hand out a connection again once a query on it has timed out. The driver keeps such a
 * connection, with the old query still in front of every new one: after a server has vanished without a word, the
 * whole pool would stay dead until the operating system gives up, a quarter of an hour later.
 */
export function toPostgresPool(pool: Pool): PostgresPool {
  // Without listeners, a connection lost while idle or between two statements would end the process. The query that
  // meets it fails, or the pool makes another.
  pool.on('error', () => undefined);
  pool.on('connect', (client) => client.on('error', () => undefined));
  const wrappers = new WeakMap<PoolClient, PostgresPoolClient>();
  return {
    async connect() {
      const client = await pool.connect();
      const wrapper = wrappers.get(client) ?? toPostgresClient(client);
      wrappers.set(client, wrapper);
      return wrapper;
    },
    end: () => pool.end(),
  };
}

function toPostgresClient(client: PoolClient): PostgresPoolClient {
  let isStuck = false;
  const query = client.query.bind(client) as (sql: string, values: readonly unknown[]) => Promise<unknown>;
  const run = async (sql: string, values: readonly unknown[]): Promise<unknown> => {
    try {
      return await query(sql, values);
    } catch (error) {
      if (error instanceof Error && error.message === 'Query read timeout') {
        isStuck = true;
        destroySocket(client);
      }
      throw error;
    }
  };
  return {
    // kysely calls it in the one form that is passed on here; its type has another, for cursors, which are not used.
    query: run as PostgresPoolClient['query'],
    release: () => client.release(isStuck),
  };
}

/** Ending a client that is in the middle of a query cuts its connection; the statement after it then fails at once. */
function destroySocket(client: PoolClient): void {
  (client as unknown as { end(): Promise<void> }).end().catch(() => undefined);
}
