/** Sees to it that something is used only once, on all instances that share the guard. */
export interface ReplayGuard {
  /**
   * @param name of what is used, at most 128 characters
   * @param ttlMs for how long it could be used again
   * @returns false when it was claimed before; of many at once exactly one gets true
   * @throws UpstreamError when that cannot be known
   */
  claim(name: string, ttlMs: number): boolean | Promise<boolean>;
}
