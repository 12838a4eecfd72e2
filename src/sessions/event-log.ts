/** One message of a stream, as it was stored before it was written to a client. */
export interface LoggedEvent {
  /** `<streamId>_<position>`: unique in the session, names its stream. */
  readonly id: string;
  /** JSON-RPC text; empty for a priming event. */
  readonly data: string;
}

/** What `EventLog.read` found after a cursor. `isComplete`: the stream has ended and nothing follows these events. */
export type LogSlice =
  | { readonly kind: 'events'; readonly events: readonly LoggedEvent[]; readonly isComplete: boolean }
  /** The cursor is not, or no longer, in the log: what followed it cannot be known. */
  | { readonly kind: 'gap' };

/** How a message is stored. */
export interface AppendOptions {
  /** Nothing may follow; the stream is complete. Default no. */
  readonly isTerminal?: boolean;
  /** How long to go on trying while a shared store is away. Default 0: no longer than any request. */
  readonly waitMs?: number;
}

/**
 * The messages of a session's resumable streams. Stored first, then written: an event that a client has seen can
 * always be resumed from while the log keeps it.
 *
 * A stream is forgotten some minutes after its terminal event, and may lose its oldest events, or be forgotten, to
 * keep the log's bounds; a reader is told of that as a gap, never by silence. Positions only grow, also over a stream
 * that was forgotten and begun again, so an old cursor is never taken for a new one.
 */
export interface EventLog {
  /**
   * Stores one message at the end of a stream.
   *
   * @returns the event's id, or `undefined` when the stream is complete or its session was ended
   * @throws UpstreamError when the shared store cannot be reached; the message may have been stored
   */
  append(
    sessionId: string,
    streamId: string,
    data: string,
    options?: AppendOptions,
  ): Promise<string | undefined>;
  /**
   * Stores several messages at once, all or none, in this order; only the last may be terminal.
   *
   * @returns their ids, or `undefined` as for one
   * @throws UpstreamError as for one
   */
  appendAll(
    sessionId: string,
    streamId: string,
    texts: readonly string[],
    options?: AppendOptions,
  ): Promise<readonly string[] | undefined>;
  /** Events that follow `afterEventId` on its own stream, oldest first, at most `limit`. */
  read(sessionId: string, afterEventId: string, limit: number): Promise<LogSlice>;
  /** Forgets every stream of a session; later appends to it are refused. */
  end(sessionId: string): Promise<void>;
  close(): Promise<void>;
}

/** The stream that an event id belongs to, or `undefined` when it is not one of ours. */
export function parseStreamId(eventId: string): string | undefined {
  const separator = eventId.lastIndexOf('_');
  return separator > 0 ? eventId.slice(0, separator) : undefined;
}
