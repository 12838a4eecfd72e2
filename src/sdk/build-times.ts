import type { HostedInstance } from './instance-source.ts';

/** Instances built at the start to time the factory, the two that are asked who they are included. */
export const trialBuilds = 5;

/** Above this a factory is reported: it runs for every request. */
export const slowBuildMs = 1;

/** Times a factory's calls. The fastest counts: the first ones run cold. */
export class BuildTimes {
  readonly #now: () => number;
  #fastestMs = Number.POSITIVE_INFINITY;

  constructor(now: () => number) {
    this.#now = now;
  }

  get fastestMs(): number {
    return this.#fastestMs;
  }

  async time(create: () => Promise<HostedInstance>): Promise<HostedInstance> {
    const startedAt = this.#now();
    const instance = await create();
    this.#fastestMs = Math.min(this.#fastestMs, this.#now() - startedAt);
    return instance;
  }
}
