import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseCallStreamId, renderCallStreamId } from './call-stream-id.ts';

const id = fc.oneof(fc.string(), fc.maxSafeInteger());

describe('the id of a call’s stream', () => {
  it('says which instance answers which requests, whatever their ids', () => {
    fc.assert(
      fc.property(fc.array(id, { minLength: 1, maxLength: 5 }), (ids) => {
        const name = parseCallStreamId(renderCallStreamId({ instanceId: 'a-_1', ids }));
        expect(name?.instanceId).toBe('a-_1');
        expect([[], ids]).toContainEqual(name?.ids);
      }),
    );
  });

  it('leaves out ids that are too long to carry', () => {
    const name = parseCallStreamId(renderCallStreamId({ instanceId: 'a', ids: ['x'.repeat(1000)] }));
    expect(name).toEqual({ instanceId: 'a', ids: [] });
  });

  it('is never the same twice', () => {
    const of = (): string => renderCallStreamId({ instanceId: 'a', ids: [1] });
    expect(of()).not.toBe(of());
  });

  it.each(['g', '', 'a', 'a.b', '..', 'a.b.c.d', 'a..W10'])('is not %j', (streamId) => {
    expect(parseCallStreamId(streamId)).toBeUndefined();
  });

  it('tells no requests when what it holds is not ids', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const told = Buffer.from(JSON.stringify(value)).toString('base64url');
        const name = parseCallStreamId(`a.b.${told}`);
        for (const found of name?.ids ?? []) expect(['string', 'number']).toContain(typeof found);
      }),
    );
  });
});
