import { describe, expect, it } from 'vitest';
import { createHandles } from './handles.ts';
import { createSharedStores } from './test-engine.contract.ts';
import { ToolError } from './tool-result.ts';

describe('a handle', () => {
  it('opens to what was sealed, for the same principal', () => {
    const { box } = createSharedStores();
    const handles = createHandles(box, 'alice');
    for (const value of [{ page: 2 }, 'text', 0, null, [1]])
      expect(createHandles(box, 'alice').open(handles.seal(value))).toEqual(value);
    expect(handles.open(handles.seal(undefined))).toBeNull();
  });

  it('is nothing to anybody else, nor where it was altered or made up; the model is told to start over', () => {
    const { box } = createSharedStores();
    const sealed = createHandles(box, 'alice').seal('secret');
    for (const [who, handle] of [
      ['bob', sealed],
      ['alice', `${sealed}A`],
      ['alice', sealed.slice(1)],
      ['alice', ''],
      // Sealed by this box, for something else.
      ['alice', box.seal('"x"', { purpose: 'request-state', boundTo: 'alice', ttlSeconds: 60 })],
    ] as const)
      expect(() => createHandles(box, who).open(handle)).toThrow(ToolError);
  });

  it('expires', () => {
    let now = 1_000_000_000;
    const handles = createHandles(createSharedStores({ now: () => now }).box, 'alice');
    const [short, usual] = [handles.seal(1, { ttlSeconds: 10 }), handles.seal(2)];
    now += 11_000;
    expect(() => handles.open(short)).toThrow(ToolError);
    expect(handles.open(usual)).toBe(2);
    now += 3_600_000;
    expect(() => handles.open(usual)).toThrow(ToolError);
  });

  it.each([0, -1, Number.NaN, 86_401, Number.POSITIVE_INFINITY])(
    'cannot live for %d seconds',
    (ttlSeconds) => {
      const handles = createHandles(createSharedStores().box, 'alice');
      expect(() => handles.seal(1, { ttlSeconds })).toThrow(TypeError);
    },
  );
});
