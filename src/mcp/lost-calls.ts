/**
 * Ends the streams of calls whose instance is gone, so that a client that came back for one is told at once instead of
 * waiting for its own timeout. Only looked at where such a stream is open: the work grows with those, not with the fleet.
 */
import { protocolErrorCodes } from '../errors.ts';
import type { EventLog } from '../sessions/event-log.ts';
import type { Instances } from '../sessions/instances.ts';
import type { Logger } from '../telemetry/logger.ts';
import { parseCallStreamId } from './call-stream-id.ts';
import { renderError } from './json-rpc.ts';
import type { SessionTail } from './session-tail.ts';

/** How often the instances of resumed calls are looked at, and their streams read without having been woken. */
const lookMs = 1000;

/** A call's stream that a client came back for. */
export interface ResumedCall {
  readonly sessionId: string;
  readonly streamId: string;
  readonly tail: Pick<SessionTail, 'pump'>;
}

/** The resumed calls of one instance. */
export interface LostCalls {
  /** @returns a function that forgets the call */
  watch(call: ResumedCall): () => void;
  close(): void;
}

/** What watching needs. */
export interface LostCallsOptions {
  /** Of the instance that watches. */
  readonly instanceId: string;
  readonly events: EventLog;
  readonly instances: Pick<Instances, 'isAlive'>;
  readonly logger: Logger;
}

/** Watches until `close`. */
export function createLostCalls(options: LostCallsOptions): LostCalls {
  const { events, instances, instanceId, logger } = options;
  const calls = new Set<ResumedCall>();
  let isLooking = false;

  const look = async (call: ResumedCall): Promise<void> => {
    const name = parseCallStreamId(call.streamId);
    if (name !== undefined && name.instanceId !== instanceId && !(await instances.isAlive(name.instanceId))) {
      const last = name.ids.length - 1;
      for (const [index, id] of name.ids.entries()) {
        // The log refuses it when the stream is complete: a result that was stored before stays the result.
        await events.append(call.sessionId, call.streamId, renderLost(id), { isTerminal: index === last });
      }
      if (last < 0)
        await events.append(call.sessionId, call.streamId, renderLost(undefined), { isTerminal: true });
    }
    call.tail.pump();
  };
  const timer = setInterval(() => {
    if (isLooking || calls.size === 0) return;
    isLooking = true;
    Promise.all([...calls].map(look))
      .catch((error: unknown) => {
        logger.error('mcp.lost_calls_not_told', {}, error);
      })
      .finally(() => {
        isLooking = false;
      });
  }, lookMs);
  timer.unref();

  return {
    watch: (call) => {
      calls.add(call);
      return () => {
        calls.delete(call);
      };
    },
    close: () => {
      clearInterval(timer);
    },
  };
}

function renderLost(id: string | number | undefined): string {
  return renderError(id, {
    code: protocolErrorCodes.internalError,
    message: 'The instance that ran this call is gone; the outcome of the call is unknown',
    data: { reason: 'instance_lost' },
  });
}
