/** Which instances of one server live, so that what waits for a dead one can be told. */
export interface Instances {
  /** Resolves when the others can see this instance; from then on it is kept visible until `close`. */
  announce(): Promise<void>;
  /**
   * `false` only when the instance is known to be gone, or never was: one that nothing can be known of at the moment,
   * e.g. right after the shared store came back, counts as alive. Costs at most one look in half a second.
   *
   * @throws UpstreamError when the shared store cannot be asked
   */
  isAlive(instanceId: string): Promise<boolean>;
  /** How many are announced and live, this one included. @throws UpstreamError */
  count(): Promise<number>;
  /** Takes this instance out at once. Never rejects; can be called twice. */
  close(): Promise<void>;
}
