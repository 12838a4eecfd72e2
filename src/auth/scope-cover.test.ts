import fc from 'fast-check';
import { expect, test } from 'vitest';
import { areScopesCovered, isScopeCovered } from './scope-cover.ts';

const segment = fc.stringMatching(/^[a-c*]{1,2}$/);
const scope = fc.array(segment, { minLength: 1, maxLength: 3 }).map((segments) => segments.join(':'));
const scopes = fc.array(scope, { maxLength: 4 });

test.each([
  ['notes', ['notes'], true],
  ['notes:read', ['notes'], true],
  ['notes:read:own', ['notes'], true],
  ['notes', ['notes:read'], false],
  ['notesx', ['notes'], false],
  ['notes:read', ['other', 'notes:read'], true],
  ['anything:at:all', ['*'], true],
  ['*', ['notes'], false],
  ['*', ['*'], true],
  ['notes:read', ['notes:*'], false],
  ['notes', [], false],
])('%s within %j: %s', (wanted, granted, expected) => {
  expect(isScopeCovered(wanted, granted)).toBe(expected);
});

test('what a list grants, it grants of itself and below, and a longer list grants no less', () => {
  fc.assert(
    fc.property(scopes, scopes, scope, segment, (granted, more, wanted, below) => {
      expect(areScopesCovered(granted, granted)).toBe(true);
      if (!isScopeCovered(wanted, granted)) return;
      expect(isScopeCovered(`${wanted}:${below}`, granted)).toBe(true);
      expect(isScopeCovered(wanted, [...more, ...granted])).toBe(true);
    }),
  );
});

test('granting is transitive: nobody gains by passing rights on', () => {
  fc.assert(
    fc.property(scopes, scopes, scopes, (first, second, third) => {
      if (areScopesCovered(second, first) && areScopesCovered(third, second)) {
        expect(areScopesCovered(third, first)).toBe(true);
      }
    }),
  );
});
