import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createOpenStreams, type OpenStreams } from './open-streams.ts';
import { createPrincipal } from './test-engine.contract.ts';

const alice = createPrincipal('alice');
const count = 1000;
const keepAliveMs = 15_000;
const lookMs = 60_000;

interface Visits {
  kept: number;
  looked: number;
}

let streams: OpenStreams;
let all: Visits[];
const total = (pick: (visits: Visits) => number): number =>
  all.reduce((sum, visits) => sum + pick(visits), 0);
const kept = ({ kept: times }: Visits): number => times;
const looked = ({ looked: times }: Visits): number => times;

beforeEach(() => {
  vi.useFakeTimers();
  streams = createOpenStreams({ maxPerPrincipal: count, keepAliveMs, lookMs });
  all = Array.from({ length: count }, () => ({ kept: 0, looked: 0 }));
  for (const visits of all) {
    streams.add({
      principal: alice,
      end: () => undefined,
      keepAlive: () => (visits.kept += 1),
      look: () => (visits.looked += 1),
    });
  }
});
afterEach(() => {
  streams.stop();
  vi.useRealTimers();
});

describe('a thousand open streams', () => {
  it('are each kept alive and looked after once in a period, and never all of them at once', () => {
    let most = 0;
    for (let elapsedMs = 0; elapsedMs < lookMs; elapsedMs += 50) {
      const before = total(kept) + total(looked);
      vi.advanceTimersByTime(50);
      most = Math.max(most, total(kept) + total(looked) - before);
    }
    expect(all.every((visits) => visits.kept === lookMs / keepAliveMs && visits.looked === 1)).toBe(true);
    expect(most).toBeLessThanOrEqual(count / 10);
  });

  it('all look soon when something may have been missed, some at a time', () => {
    streams.look();
    expect(total(looked)).toBeGreaterThan(0);
    expect(total(looked)).toBeLessThanOrEqual(count / 10);
    vi.advanceTimersByTime(1000);
    expect(all.every((visits) => visits.looked === 1)).toBe(true);
  });

  it('are left alone once they are closed, also in the middle of a round', () => {
    const visits = { kept: 0, looked: 0 };
    streams.endWhere('session_ended', () => true);
    const forget = streams.add({
      principal: createPrincipal('bob'),
      end: () => undefined,
      keepAlive: () => (visits.kept += 1),
      look: () => (visits.looked += 1),
    });
    streams.look();
    forget();
    vi.advanceTimersByTime(2 * lookMs);
    expect(visits).toEqual({ kept: 0, looked: 0 });
  });
});
