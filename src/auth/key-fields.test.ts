import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { parseFields } from './key-fields.ts';

describe('parseFields', () => {
  it.each<{ readonly length: unknown }>([
    { length: { toString: null } },
    { length: { length: 1 } },
    { length: {} },
  ])('refuses an object whose length is $length where a list is due', ({ length }) => {
    const schema = z.object({ scopes: z.array(z.string()).max(64) });
    expect(() => parseFields(schema, { scopes: { length } }, 'The key')).toThrow(
      expect.objectContaining({ code: 'request_invalid' }),
    );
  });
});
