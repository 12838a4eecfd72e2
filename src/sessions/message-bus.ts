/**
 * Carries messages between instances of one server. A hint, delivered at most once to each subscriber that is
 * connected when it is sent, the sender's own included, in the order of one sender.
 *
 * Topics: `changes` (list-changed and resource-updated), `instance.<id>` (answers for calls that wait there),
 * `cancellations` and `ended-sessions` (calls to be cancelled, wherever they run), `session.<id>` (`ended`, `changed`,
 * who collects its standalone stream, or the id of a stream that has new events).
 */
export interface MessageBus {
  /**
   * A publication that rejects may be delivered all the same; the same text published again is another message.
   *
   * @param message JSON text, at most 1 MiB
   */
  publish(topic: string, message: string): Promise<void>;
  /** @returns a function that ends the subscription */
  subscribe(topic: string, listener: (message: string) => void): Promise<() => Promise<void>>;
  /**
   * Calls `listener` when messages to this instance may have been lost, once they can be received again: who relies on a
   * hint looks for itself then. Those to `instance.<id>` are not lost. It must not throw.
   *
   * @returns a function that ends that
   */
  onGap(listener: () => void): () => void;
  /** Resolves when the bus can carry; rejects when it cannot. */
  check(): Promise<void>;
  close(): Promise<void>;
}
