/** What may happen once, over all instances: whoever claims it first may do it. */
export interface Claims {
  /**
   * Claims something for the caller. For good: a claim is not given back.
   *
   * @param id what is claimed, in `A-Z a-z 0-9 _ -`, as random as it must not be guessed
   * @param expiresAt milliseconds since the epoch; from then on nobody can ask for it, so that it may be forgotten
   * @returns whether this is the first claim; false also past its time
   * @throws UpstreamError when it cannot be known: do nothing then. It may have been claimed
   */
  claim(id: string, expiresAt: number): Promise<boolean>;
}
