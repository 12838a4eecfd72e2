import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RecencyList, type RecencyNode } from './recency-list.ts';

function toValues<Value>(list: RecencyList<Value>): readonly Value[] {
  const values: Value[] = [];
  for (let node = list.oldest; node !== undefined; node = node.newer) values.push(node.value);
  return values;
}

describe('RecencyList', () => {
  it('keeps the order of last use through any mix of adding, touching and removing, even twice', () => {
    const step = fc.record({ kind: fc.constantFrom('add', 'touch', 'remove'), target: fc.nat(30) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const list = new RecencyList<number>();
        const nodes: RecencyNode<number>[] = [];
        let model: number[] = [];
        for (const { kind, target } of steps) {
          const node = nodes[target % Math.max(nodes.length, 1)];
          if (kind === 'add' || node === undefined) {
            model.push(nodes.length);
            nodes.push(list.add(nodes.length));
            continue;
          }
          const wasListed = model.includes(node.value);
          model = model.filter((value) => value !== node.value);
          if (kind === 'remove') expect(list.remove(node)).toBe(wasListed);
          else {
            list.touch(node);
            if (wasListed) model.push(node.value);
          }
        }
        expect(toValues(list)).toEqual(model);
        expect(list.size).toBe(model.length);
      }),
    );
  });

  it('is empty after clear and takes new values', () => {
    const list = new RecencyList<string>();
    list.add('a');
    list.add('b');
    list.clear();
    expect(list.oldest).toBeUndefined();
    list.add('c');
    expect(toValues(list)).toEqual(['c']);
    expect(list.size).toBe(1);
  });
});
