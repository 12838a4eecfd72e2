/**
 * SQLite for kysely, over libsql. Not kysely's own driver, for three reasons: it begins transactions without the
 * write lock, so that two of them can fail each other; it waits for a lock inside SQLite, which stops the event
 * loop and, with it, whoever holds the lock in this process; and libsql ends the process when a boolean is bound
 * (0.5.29, "not yet implemented: bool"), so values are converted here.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type CompiledQuery,
  type DatabaseConnection,
  type DatabaseIntrospector,
  type Dialect,
  type DialectAdapter,
  type Driver,
  type Kysely,
  type QueryCompiler,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely';
import type Libsql from 'libsql';

/** Longest wait for another process's lock before a statement fails. */
export const maxBusyMs = 5000;
const busyRetryMs = 5;

/** Runs `work` again while another connection holds the lock, at most `maxBusyMs`. */
export async function retryWhileBusy<Result>(work: () => Result): Promise<Result> {
  const deadline = performance.now() + maxBusyMs;
  for (;;) {
    try {
      return work();
    } catch (error) {
      if (!isBusy(error) || performance.now() > deadline) throw error;
      await sleep(busyRetryMs * (0.5 + Math.random()));
    }
  }
}

/** kysely on one open libsql connection, which it closes. */
export class SqliteDialect implements Dialect {
  readonly #database: Libsql.Database;

  constructor(database: Libsql.Database) {
    this.#database = database;
  }

  createDriver(): Driver {
    return new SqliteDriver(this.#database);
  }

  createQueryCompiler(): QueryCompiler {
    return new SqliteQueryCompiler();
  }

  createAdapter(): DialectAdapter {
    return new SqliteAdapter();
  }

  // oxlint-disable-next-line typescript/no-explicit-any -- the signature is kysely's
  createIntrospector(kysely: Kysely<any>): DatabaseIntrospector {
    return new SqliteIntrospector(kysely);
  }
}

class SqliteDriver implements Driver {
  readonly #database: Libsql.Database;
  readonly #connection: SqliteConnection;
  /** Settles when whoever holds the connection returns it. */
  #released: Promise<void> = Promise.resolve();
  #release: () => void = () => undefined;

  constructor(database: Libsql.Database) {
    this.#database = database;
    this.#connection = new SqliteConnection(database);
  }

  async init(): Promise<void> {}

  async acquireConnection(): Promise<DatabaseConnection> {
    const earlier = this.#released;
    let release: () => void = () => undefined;
    this.#released = new Promise((resolve) => {
      release = resolve;
    });
    await earlier;
    this.#release = release;
    return this.#connection;
  }

  beginTransaction(): Promise<void> {
    return begin(this.#database);
  }

  async commitTransaction(): Promise<void> {
    this.#database.exec('commit');
  }

  async rollbackTransaction(): Promise<void> {
    // An error such as a full disk has already rolled back.
    if (this.#database.inTransaction) this.#database.exec('rollback');
  }

  async releaseConnection(): Promise<void> {
    this.#release();
  }

  async destroy(): Promise<void> {
    await this.#released;
    this.#database.close();
  }
}

class SqliteConnection implements DatabaseConnection {
  readonly #database: Libsql.Database;

  constructor(database: Libsql.Database) {
    this.#database = database;
  }

  async executeQuery<Row>(query: CompiledQuery): Promise<QueryResult<Row>> {
    if (this.#database.inTransaction || query.query.kind === 'SelectQueryNode') return this.#execute(query);
    await begin(this.#database);
    try {
      const result = this.#execute<Row>(query);
      this.#database.exec('commit');
      return result;
    } catch (error) {
      if (this.#database.inTransaction) this.#database.exec('rollback');
      throw error;
    }
  }

  // oxlint-disable-next-line require-yield -- the signature is kysely's
  async *streamQuery<Row>(): AsyncIterableIterator<QueryResult<Row>> {
    throw new TypeError('streaming is not supported: read a page at a time');
  }

  #execute<Row>(query: CompiledQuery): QueryResult<Row> {
    const statement = this.#database.prepare(query.sql);
    const values = query.parameters.map(toBindable);
    // libsql cannot know the row's type; kysely's query does.
    if (statement.reader) return { rows: statement.all(values) as Row[] };
    const { changes } = statement.run(values);
    return { rows: [], numAffectedRows: BigInt(changes) };
  }
}

/**
 * Waits for the write lock, and for nothing else later. Only `exec` may meet a lock: a prepared statement that did
 * stays half run until it is collected as garbage, and until then no transaction of its connection can commit.
 */
function begin(database: Libsql.Database): Promise<void> {
  return retryWhileBusy(() => database.exec('begin immediate')).then(() => undefined);
}

function toBindable(value: unknown): unknown {
  return typeof value === 'boolean' ? Number(value) : value;
}

function isBusy(error: unknown): boolean {
  return (
    error instanceof Error &&
    'code' in error &&
    typeof error.code === 'string' &&
    error.code.startsWith('SQLITE_BUSY')
  );
}
