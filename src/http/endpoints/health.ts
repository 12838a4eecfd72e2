import type { EdgeLogger } from '../edge-logger.ts';
import { toJsonReply } from '../messages.ts';
import type { RouteHandler } from '../routes.ts';

/** Answers 200 as long as the process answers at all; a restart helps when it does not. Asks no dependency. */
export const answerHealth: RouteHandler = () => toJsonReply(200, { status: 'ok' }, noStore);

const noStore = { 'Cache-Control': 'no-store' };

/** What readiness depends on. */
export interface ReadyOptions {
  /** By name, e.g. `database`: resolves when the dependency can serve, rejects when it cannot. */
  readonly checks: Readonly<Record<string, () => Promise<unknown>>>;
  readonly isStopping: () => boolean;
  readonly logger: EdgeLogger;
  /** How long one check may take. Default 2000. */
  readonly timeoutMs?: number;
  /** How long a result is used again, as anyone may ask. Default 1000. */
  readonly reuseMs?: number;
  /** Milliseconds. Default: `performance.now`. */
  readonly now?: () => number;
}

type CheckStatus = 'ok' | 'failed' | 'timeout';

/**
 * Answers 200 when every dependency can serve, otherwise 503; also 503 once the host stops, so that balancers send
 * nothing new. Names each check and its status; why one failed is only logged.
 */
export function createReadyHandler(options: ReadyOptions): RouteHandler {
  const { isStopping, logger, timeoutMs = 2000, reuseMs = 1000, now = () => performance.now() } = options;
  const checks = Object.entries(options.checks).map(([name, check]) => ({
    name,
    run: toSingleFlight(check),
  }));
  let last:
    | { readonly statuses: Promise<Readonly<Record<string, CheckStatus>>>; readonly at: number }
    | undefined;

  return async () => {
    if (isStopping()) return toJsonReply(503, { status: 'stopping' }, noStore);
    if (!last || now() - last.at >= reuseMs) last = { statuses: runChecks(), at: now() };
    const statuses = await last.statuses;
    const isReady = Object.values(statuses).every((status) => status === 'ok');
    return toJsonReply(
      isReady ? 200 : 503,
      { status: isReady ? 'ready' : 'unready', checks: statuses },
      noStore,
    );
  };

  async function runChecks(): Promise<Record<string, CheckStatus>> {
    const entries = checks.map(async ({ name, run }) => {
      const outcome = await settleWithin(run(), timeoutMs);
      if (outcome.status !== 'ok') {
        logger.error('readiness.check_failed', { check: name, reason: outcome.status }, outcome.error);
      }
      return [name, outcome.status] as const;
    });
    return Object.fromEntries(await Promise.all(entries));
  }
}

/** One run at a time: a check that hangs is waited for again, not piled up. */
function toSingleFlight(check: () => Promise<unknown>): () => Promise<unknown> {
  let pending: Promise<unknown> | undefined;
  return () => {
    pending ??= Promise.resolve()
      .then(check)
      .finally(() => {
        pending = undefined;
      });
    return pending;
  };
}

interface CheckOutcome {
  readonly status: CheckStatus;
  readonly error?: unknown;
}

async function settleWithin(running: Promise<unknown>, timeoutMs: number): Promise<CheckOutcome> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<CheckOutcome>((resolve) => {
    timer = setTimeout(resolve, timeoutMs, { status: 'timeout' });
  });
  const settled = running.then(
    (): CheckOutcome => ({ status: 'ok' }),
    (error: unknown): CheckOutcome => ({ status: 'failed', error }),
  );
  try {
    return await Promise.race([settled, late]);
  } finally {
    clearTimeout(timer);
  }
}
