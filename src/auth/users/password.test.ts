import { expect, test } from 'vitest';
import { hashPassword, isPassword, maxPasswordLength, minPasswordLength } from './password.ts';

const password = 'correct horse battery';

test('a password is recognised by its hash, and no other is', async () => {
  const hash = await hashPassword(password);
  expect(hash).toMatch(/^\$scrypt\$ln=15,r=8,p=3\$[\w-]{22}\$[\w-]{43}$/);
  expect(await isPassword(password, hash)).toBe(true);
  expect(await isPassword(`${password}.`, hash)).toBe(false);
});

test('two hashes of one password differ', async () => {
  expect(await hashPassword(password)).not.toBe(await hashPassword(password));
});

test('without a hash, or with one that is none, nothing is the password', async () => {
  expect(await isPassword('', undefined)).toBe(false);
  expect(await isPassword(password, undefined)).toBe(false);
  expect(await isPassword(password, '$2b$10$abcdefghijklmnopqrstuv')).toBe(false);
});

test('characters count, however a keyboard composes them', async () => {
  const hash = await hashPassword(`${password}é`);
  expect(await isPassword(`${password}e\u0301`, hash)).toBe(true);
});

test.each([
  ['too short', 'x'.repeat(minPasswordLength - 1)],
  ['too long', 'x'.repeat(maxPasswordLength + 1)],
])('a password that is %s is refused', async (_, tried) => {
  await expect(hashPassword(tried)).rejects.toMatchObject({ code: 'request_invalid' });
});
