import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createSealedBox, toSealingKey } from '../mcp/sealed-box.ts';
import { createBusEnvelope } from './bus-envelope.ts';

const envelope = createBusEnvelope(createSealedBox({ keys: [toSealingKey('a1'.repeat(32))] }));
const topics = ['changes', 'session.a', 'instance.a'];

describe('the envelope of a bus message', () => {
  it('gives back what was put in, of any length and script, and hides what may be private', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 200 }),
      fc
        .tuple(fc.string({ unit: 'binary', minLength: 1, maxLength: 9 }), fc.integer({ min: 1, max: 30_000 }))
        .map(([unit, count]) => unit.repeat(count)),
    );
    fc.assert(
      fc.property(fc.constantFrom(...topics), text, (topic, message) => {
        const wrapped = envelope.wrap(topic, { id: 'i.1', message });
        expect(envelope.unwrap(topic, wrapped)).toEqual({ id: 'i.1', message });
        if (topic !== 'changes') expect(wrapped).toMatch(/^i\.1(?:,[\w.-]+)+$/);
      }),
      { numRuns: 50 },
    );
  });

  it('opens nothing that was changed, moved to another topic or put together from parts', () => {
    const long = envelope.wrap('session.a', { id: 'i.1', message: 'x'.repeat(40_000) });
    const [id, first = '', second = '', third = ''] = long.split(',');
    const other = envelope.wrap('session.a', { id: 'i.2', message: 'y'.repeat(40_000) }).split(',');
    for (const text of [
      `${id},${second},${first},${third}`,
      `${id},${first},${second}`,
      `${id},${first},${other[2]},${third}`,
      `i.2,${first},${second},${third}`,
      `${id},${Array.from({ length: 200 }, () => first).join(',')}`,
      `${id},`,
      `${id}`,
      '',
      ',a',
    ]) {
      expect(envelope.unwrap('session.a', text)).toBeUndefined();
    }
    expect(envelope.unwrap('session.b', long)).toBeUndefined();
    expect(envelope.unwrap('session.a', long)?.message).toHaveLength(40_000);
  });
});
