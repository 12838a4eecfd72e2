import type { ReplayGuard } from '../auth/dpop/replay-guard.ts';
import type { ValidatedTokens } from '../auth/issuers/validated-tokens.ts';
import type { Limits } from '../policy/limits.ts';
import type { Claims } from './claims.ts';
import type { EventLog } from './event-log.ts';
import type { Instances } from './instances.ts';
import type { Locks } from './locks.ts';
import type { MessageBus } from './message-bus.ts';
import type { SessionStore } from './session-store.ts';

/** What the instances of one server share: all ports over one thing, and their end. */
export interface Sharing {
  readonly sessions: SessionStore;
  readonly events: EventLog;
  readonly bus: MessageBus;
  readonly instances: Instances;
  /** Absent where there is one instance, which remembers them itself. */
  readonly validatedTokens?: ValidatedTokens;
  readonly replays: ReplayGuard;
  readonly limits: Limits;
  readonly locks: Locks;
  readonly claims: Claims;
  /** After the engine: it says goodbye over them. */
  close(): Promise<void>;
}
