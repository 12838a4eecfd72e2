import fc from 'fast-check';
import { expect, it } from 'vitest';
import { suiteLimits, toRecord, type SessionStoreBench } from './session-store-bench.contract.ts';
import type { SessionRecord, SessionStore } from './session-store.ts';

const { idleTtlMs, maxPerPrincipal } = suiteLimits;

type Step =
  | { readonly kind: 'create'; readonly id: string; readonly principalKey: string; readonly lifeMs: number }
  | { readonly kind: 'load' | 'end' | 'update'; readonly id: string }
  | {
      readonly kind: 'write';
      readonly id: string;
      readonly key: string;
      readonly value: string | undefined;
      readonly isStale: boolean;
    }
  | { readonly kind: 'advance'; readonly ms: number };

const ids = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g');
const steps: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constant('create' as const),
    id: ids,
    principalKey: fc.constantFrom('alice', 'bob'),
    lifeMs: fc.integer({ min: 1, max: 3 * idleTtlMs }),
  }),
  fc.record({ kind: fc.constantFrom('load' as const, 'end' as const, 'update' as const), id: ids }),
  fc.record({
    kind: fc.constant('write' as const),
    id: ids,
    key: fc.constantFrom('x', 'y'),
    value: fc.option(fc.constantFrom('1', '2'), { nil: undefined }),
    isStale: fc.boolean(),
  }),
  fc.record({ kind: fc.constant('advance' as const), ms: fc.integer({ min: 1, max: idleTtlMs }) }),
);

interface ModelSession {
  record: SessionRecord;
  usedAt: number;
  readonly values: Map<string, string>;
}

/** The port's rules without any thought for cost: a list in the order of last use. */
class ModelStore {
  sessions: ModelSession[] = [];

  live(now: number): ModelSession[] {
    this.sessions = this.sessions.filter(
      ({ record, usedAt }) => now < usedAt + idleTtlMs && now < record.expiresAt,
    );
    return this.sessions;
  }

  find(id: string, now: number): ModelSession | undefined {
    return this.live(now).find(({ record }) => record.id === id);
  }

  remove(session: ModelSession): void {
    this.sessions = this.sessions.filter((other) => other !== session);
  }

  create(record: SessionRecord, now: number): readonly string[] {
    this.sessions.push({ record, usedAt: now, values: new Map() });
    const own = this.live(now).filter((session) => session.record.principalKey === record.principalKey);
    const evicted = own.slice(0, Math.max(own.length - maxPerPrincipal, 0));
    for (const session of evicted) this.remove(session);
    return evicted.map((session) => session.record.id);
  }

  touch(session: ModelSession, now: number): void {
    this.remove(session);
    session.usedAt = now;
    this.sessions.push(session);
  }
}

/** Random steps, taken by a store and by a simple model of the port's rules, must come out alike. */
export function describeModel(open: () => Promise<SessionStoreBench>): void {
  it('behaves as the model does through any sequence of steps', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(steps, { maxLength: 40 }), async (sequence) => {
        const bench = await open();
        const model = new ModelStore();
        for (const [index, step] of sequence.entries()) {
          bench.advance(1);
          await take(step, bench.doors[index % bench.doors.length] ?? bench.first, bench, model);
        }
        for (const id of 'abcdefg') {
          const expected = model.find(id, bench.now());
          for (const key of ['x', 'y']) {
            expect((await bench.first.readValue(id, key))?.value).toBe(expected?.values.get(key));
          }
          expect(await bench.first.load(id)).toEqual(expected?.record);
        }
      }),
      { numRuns: 60 },
    );
  });
}

async function take(
  step: Step,
  store: SessionStore,
  bench: SessionStoreBench,
  model: ModelStore,
): Promise<void> {
  const now = bench.now();
  if (step.kind === 'advance') {
    bench.advance(step.ms);
    return;
  }
  const session = model.find(step.id, now);
  switch (step.kind) {
    case 'create': {
      if (session !== undefined) return;
      const record = toRecord(step.id, now, {
        principalKey: step.principalKey,
        expiresAt: now + step.lifeMs,
      });
      expect(await store.create(record)).toEqual(model.create(record, now));
      return;
    }
    case 'load': {
      expect(await store.load(step.id)).toEqual(session?.record);
      if (session !== undefined) model.touch(session, now);
      return;
    }
    case 'end': {
      expect(await store.end(step.id)).toBe(session !== undefined);
      if (session !== undefined) model.remove(session);
      return;
    }
    case 'update': {
      const change = { subscriptions: [`notes://${now}`] };
      expect(await store.update(step.id, () => change)).toBe(session !== undefined);
      if (session !== undefined) session.record = { ...session.record, ...change };
      return;
    }
    case 'write': {
      const version = (await store.readValue(step.id, step.key))?.version ?? 0;
      const expectedVersion = step.isStale ? version + 1 : version;
      const isWritten = await store.writeValue(step.id, step.key, step.value, expectedVersion);
      expect(isWritten).toBe(session !== undefined && !step.isStale);
      if (!isWritten) return;
      if (step.value === undefined) session?.values.delete(step.key);
      else session?.values.set(step.key, step.value);
    }
  }
}
