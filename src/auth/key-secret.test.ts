import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createKeySecret, isKeySecret, maxKeyLength, toKeyHash, toKeyHint } from './key-secret.ts';

const prefixes = fc.stringMatching(/^[a-z][a-z0-9]{0,15}$/);

test('a key has its prefix, 256 random bits, and the shape that authentication looks for', () => {
  fc.assert(
    fc.property(prefixes, (prefix) => {
      const secret = createKeySecret(prefix);
      expect(secret).toMatch(new RegExp(`^${prefix}_mcp_[0-9a-f]{64}$`));
      expect(isKeySecret(secret)).toBe(true);
      expect(secret.length).toBeLessThanOrEqual(maxKeyLength);
    }),
  );
});

test('no two keys are alike', () => {
  expect(new Set(Array.from({ length: 1000 }, () => createKeySecret('fp'))).size).toBe(1000);
});

test.each(['', 'A', '1a', 'a_b', 'a-b', 'a'.repeat(17), 'a\n'])('refuses the prefix %j', (prefix) => {
  expect(() => createKeySecret(prefix)).toThrow(TypeError);
});

test('any change of a character in a key makes another hash or no key', () => {
  const secret = createKeySecret('mooring');
  fc.assert(
    fc.property(fc.nat(secret.length - 1), fc.string({ minLength: 1, maxLength: 1 }), (at, character) => {
      const changed = secret.slice(0, at) + character + secret.slice(at + 1);
      fc.pre(changed !== secret);
      expect(toKeyHash(changed)).not.toBe(toKeyHash(secret));
    }),
  );
});

test('the hash is SHA-256 of the whole key', () => {
  expect(toKeyHash('abc')).toBe(createHash('sha256').update('abc').digest('hex'));
});

test('a hint shows the prefix and no more than four characters', () => {
  const secret = createKeySecret('fp');
  expect(toKeyHint(secret)).toBe(`fp_mcp_...${secret.slice(-4)}`);
});
