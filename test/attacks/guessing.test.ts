/** Guessing passwords at the pages of a whole host, as it counts attempts by itself. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { isPassword } from '../../src/auth/users/password.ts';
import { answerOf, begin, redirectUri, register, TestBrowser, type Visit } from '../authorization-server.ts';
import { openTestHost, type TestHost } from '../test-host.ts';

const atOnce = 10;
const oneMoreAfterMs = 30_000;
const wrong = 'a password that is wrong';

// To judge is dear on purpose: what is known to be wrong is judged at once, so that what counts here is counted.
vi.mock(import('../../src/auth/users/password.ts'), async (importOriginal) => {
  const original = await importOriginal();
  return {
    ...original,
    isPassword: vi.fn<typeof isPassword>(async (password, hash) =>
      password === wrong ? false : original.isPassword(password, hash),
    ),
  };
});

/** Stands still, so that what comes back with time is told to the millisecond. */
let nowMs: number;
let open: TestHost;
let clientId: string;

beforeEach(async () => {
  nowMs = Date.now();
  vi.spyOn(Date, 'now').mockImplementation(() => nowMs);
  open = await openTestHost({ environment: { AUTH: 'oauth' } });
  clientId = await register(open, { client_name: 'Client', redirect_uris: [redirectUri] });
  vi.mocked(isPassword).mockClear();
});
afterEach(async () => {
  await open.close();
  vi.mocked(Date.now).mockRestore();
});

/** A browser of its own, as somebody has who throws away cookies, at the page that asks for a password. */
async function openPage(): Promise<{ browser: TestBrowser; page: Visit }> {
  const browser = new TestBrowser(open);
  return { browser, page: await browser.open(begin(clientId, redirectUri).url) };
}

async function guess(name: string, password = wrong): Promise<Visit> {
  const { browser, page } = await openPage();
  return browser.submit(page, { name, password, decision: 'continue' });
}

/** @returns what each was answered */
async function guessOften(name: string, times: number): Promise<number[]> {
  const visits = await Promise.all(Array.from({ length: times }, () => guess(name)));
  return visits.map(({ reply }) => reply.status).toSorted((one, other) => one - other);
}

const refused = (count: number): number[] => Array.from({ length: count }, () => 401);
const tooMany = (count: number): number[] => Array.from({ length: count }, () => 429);

function toPassword(): string {
  return open.host.firstUser?.password ?? '';
}

test('many guesses at once: ten are judged, the others are told to wait and no password is looked at', async () => {
  expect(await guessOften('admin', atOnce + 5)).toEqual([...refused(atOnce), ...tooMany(5)]);
  expect(isPassword).toHaveBeenCalledTimes(atOnce);
  const { reply, location } = await guess('admin');
  expect([reply.status, location]).toEqual([429, undefined]);
  expect(reply.body).toContain('There were too many attempts.');
  expect(reply.body).toContain('type="password"');
});

test('the right password past the limit says no more than a wrong one', async () => {
  await guessOften('admin', atOnce);
  const right = await guess('admin', toPassword());
  expect([right.reply.status, right.location]).toEqual([429, undefined]);
  expect(isPassword).toHaveBeenCalledTimes(atOnce);
});

test('waiting gives one guess for each half minute, and never more than ten', async () => {
  await guessOften('admin', atOnce);
  nowMs += oneMoreAfterMs - 1;
  expect(await guessOften('admin', 1)).toEqual(tooMany(1));
  nowMs += 1;
  expect(await guessOften('admin', 3)).toEqual([...refused(1), ...tooMany(2)]);
  nowMs += 100 * oneMoreAfterMs;
  expect(await guessOften('admin', atOnce + 1)).toEqual([...refused(atOnce), ...tooMany(1)]);
});

test('another spelling of the name, another browser or another client is no way around', async () => {
  await guessOften('admin', atOnce);
  expect(await guessOften(' ADMIN ', 2)).toEqual(tooMany(2));
  clientId = await register(open, { client_name: 'Another', redirect_uris: [redirectUri] });
  expect(await guessOften('admin', 2)).toEqual(tooMany(2));
});

test('a name that nobody has is answered like one that somebody has', async () => {
  expect(await guessOften('nobody', atOnce + 1)).toEqual([...refused(atOnce), ...tooMany(1)]);
});

test('locking everybody else out: who guesses at one name stops nobody with another', async () => {
  await guessOften('eve', atOnce + 1);
  const visit = await new TestBrowser(open).authorize(begin(clientId, redirectUri).url, {
    name: 'admin',
    password: toPassword(),
  });
  expect(answerOf(visit).get('code')).not.toBeNull();
});
