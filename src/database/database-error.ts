import { UpstreamError } from '../errors.ts';

/** SQLSTATE classes and codes that say the server, not the statement, is at fault. */
const postgresOutages = /^(?:08|53|57|58|XX|25006|40001|40P01|55P03)/;
const sqliteOutages =
  /^SQLITE_(?:BUSY|LOCKED|IOERR|FULL|READONLY|CANTOPEN|CORRUPT|NOTADB|PROTOCOL|NOMEM|PERM)/;
const socketOutages = /^(?:ECONN|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN|ENOENT|EACCES)/;
/** The PostgreSQL driver and its pool say these in words only. */
const outageWords =
  /timeout exceeded when trying to connect|timeout expired|Query read timeout|Connection terminated|Client has encountered a connection error|not queryable|after calling end on the pool|database connection is not open/;

/** Whether a driver's error means that the database is out of reach, full or broken, rather than asked wrongly. */
export function isOutage(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error instanceof AggregateError) return error.errors.some(isOutage);
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  if (postgresOutages.test(code) || sqliteOutages.test(code) || socketOutages.test(code)) return true;
  return outageWords.test(error.message);
}

/**
 * Runs a query so that an outage is told as one.
 *
 * @throws UpstreamError when the database cannot be reached or cannot serve; anything else is thrown as it is
 */
export async function runQuery<Result>(query: () => Promise<Result>): Promise<Result> {
  try {
    return await query();
  } catch (error) {
    if (isOutage(error))
      throw new UpstreamError('database', 'The database cannot be reached', { cause: error });
    throw error;
  }
}
