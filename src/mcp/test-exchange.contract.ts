/** What tests of what requests are dispatched to share: an exchange whose ways back are lists. */
import type { Exchange } from './dispatch-target.ts';
import type { HandlerFailure } from './handler-failure.ts';
import type { JsonRpcNotification } from './protocol-types.ts';
import { createPrincipal } from './test-engine.contract.ts';

/** An exchange that records. */
export interface RecordingExchange extends Exchange {
  readonly notifications: JsonRpcNotification[];
  readonly failures: HandlerFailure[];
}

/** Makes an exchange; what `parts` says wins. */
export function createExchange(
  era: 'modern' | 'legacy' = 'legacy',
  parts: Partial<Exchange> = {},
): RecordingExchange {
  const notifications: JsonRpcNotification[] = [];
  const failures: HandlerFailure[] = [];
  return {
    era,
    protocolVersion: era === 'modern' ? '2026-07-28' : '2025-11-25',
    id: 1,
    requestId: 'request-1',
    principal: createPrincipal('alice'),
    clientInfo: { name: 'test-client', version: '1.2.3' },
    clientCapabilities: {},
    logLevel: undefined,
    session: undefined,
    handles: { seal: () => 'unused', open: () => undefined as never },
    signal: new AbortController().signal,
    parameterHeaders: undefined,
    enter: () => undefined,
    notify: (notification) => void notifications.push(notification),
    ask: () => Promise.reject(new Error('nobody answers')),
    recall: () => undefined,
    remember: () => {},
    publish: () => Promise.resolve(),
    report: (failure) => void failures.push(failure),
    releaseConnection: () => {},
    ...parts,
    notifications,
    failures,
  };
}
