import { expect, it } from 'vitest';
import { type LocalSignInOptions, signInLocally } from './local-sign-in.ts';

it("looks up, hashes and counts nothing without a password, which is nobody's", async () => {
  const asked: string[] = [];
  const note = (what: string) => (): Promise<never> => {
    asked.push(what);
    return Promise.reject(new Error(what));
  };
  const options = {
    users: { findByIdentity: note('users'), loadPasswordHash: note('users') },
    isPassword: note('hash'),
    takeAttempt: note('count'),
  } as unknown as LocalSignInOptions;
  expect(await signInLocally({ name: 'ada', password: '' }, options)).toEqual({ kind: 'refused' });
  expect(asked).toEqual([]);
});
