/** Bridge mode: clients know this host alone, and their user signs in at a provider of another make, in a real browser. */
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { startBrowser, type TestBrowser } from '../browser.ts';
import { findFreePort } from '../redis-server.ts';
import { providerAccount, type SecondProvider, startSecondProvider } from '../second-provider.ts';
import { type MooringProcess, runMooring, startMooring } from './mooring-process.ts';
import { createSigningInClient, signingInKinds } from './signing-in-client.ts';

const patience = { timeout: 40_000, interval: 200 };
const secretMethod = 'client_secret_basic';

let provider: SecondProvider;
let host: MooringProcess;
let browser: TestBrowser;
let secret: string;

beforeAll(async () => {
  provider = await startSecondProvider({ resources: [] });
  const port = await findFreePort();
  const origin = `http://127.0.0.1:${port}`;
  const registered = await provider.register(`${origin}/oauth/callback`, {
    token_endpoint_auth_method: secretMethod,
  });
  secret = registered.client_secret ?? '';
  host = await startMooring({
    environment: {
      AUTH: 'oauth',
      PORT: String(port),
      ACCESS_TOKEN_TTL_SECONDS: '10',
      UPSTREAM_ISSUER: provider.issuer,
      UPSTREAM_NAME: 'Harbour ID',
      UPSTREAM_CLIENT_ID: registered.client_id,
      UPSTREAM_CLIENT_SECRET: secret,
      LOG_LEVEL: 'trace',
    },
  });
  browser = await startBrowser();
});
afterAll(async () => {
  await browser?.close();
  await host?.dispose();
  await provider?.stop();
});

/** Goes on wherever a person would, to the client, or to a page that nothing can be clicked on. */
async function goOn(page: Page): Promise<string> {
  const steps: string[] = [];
  const isBack = (): boolean => new URL(page.url()).pathname === '/callback';
  while (!isBack()) {
    if ((await page.locator('input[name=email]').count()) > 0) {
      await page.fill('input[name=email]', providerAccount.email);
      await page.fill('input[name=password]', providerAccount.password);
    }
    const button = page.locator('button[value=allow], button[value=continue]').first();
    if ((await button.count()) === 0) break;
    steps.push(
      `${new URL(page.url()).port === new URL(host.url).port ? 'here' : 'there'}: ${await button.innerText()}`,
    );
    await Promise.all([page.waitForEvent('framenavigated'), button.click()]);
    await page.waitForLoadState();
  }
  return `${steps.join('\n')}\n${await page.locator('body').innerText()}`;
}

/** Where a person came to at last, with the client's page. */
const ends: string[] = [];

/** What a person does with the page that a client opens. */
async function allow(url: URL): Promise<void> {
  const page = await browser.context.newPage();
  try {
    await page.goto(url.href);
    ends.push(await goOn(page));
  } finally {
    await page.close();
  }
}

test('somebody new is told whom to ask, and gets in once they are let in', async () => {
  const client = await createSigningInClient('SDK v2, modern', host.url, allow);
  await expect(client.connect()).rejects.toThrow('did not come back');
  expect(ends.at(-1)).toContain('You have no access yet');
  const listed = await runMooring(['users', 'list', '--json'], { DATA_DIR: host.dataDir });
  expect(listed.code).toBe(0);
  const [user] = JSON.parse(listed.out) as {
    readonly id: string;
    readonly issuer: string;
    readonly name: string;
  }[];
  // The provider tells names at its userinfo endpoint only.
  expect(user).toMatchObject({
    issuer: provider.issuer,
    name: providerAccount.name,
    email: providerAccount.email,
  });
  expect(ends.at(-1)).toContain(user?.id);
  const joined = await runMooring(['users', 'join', user?.id ?? ''], { DATA_DIR: host.dataDir });
  expect(joined.code).toBe(0);
  await client.connect();
  expect(await client.callTool('list_notes', {})).toMatchObject({ content: expect.anything() });
  await client.close();
});

test.each(signingInKinds)(
  '%s signs in with nothing but the URL, calls a tool, and is given more',
  async (kind) => {
    const client = await createSigningInClient(kind, host.url, allow);
    await client.connect();
    await client.callTool('list_notes', {});
    await client.callTool('add_note', { title: 'from afar', text: 'signed in' });
    expect(client.visits).toHaveLength(2);
    await client.close();
  },
);

test('a client outlives its access token while the provider is out', async () => {
  const client = await createSigningInClient('SDK v2, modern', host.url, allow);
  await client.connect();
  await provider.kill();
  try {
    const before = client.tokens?.access_token;
    await vi.waitFor(async () => {
      await client.callTool('list_notes', {});
      expect(client.tokens?.access_token).not.toBe(before);
    }, patience);
    expect(client.visits).toHaveLength(1);
  } finally {
    await provider.restart();
    await client.close();
  }
});

test('a person sees our page, the provider with a new key, and our page again, also when it was out meanwhile', async () => {
  await provider.rotateKeys({ areOldKept: false });
  await browser.context.clearCookies();
  const client = await createSigningInClient('SDK v1', host.url, async (url) => {
    const page = await browser.context.newPage();
    await page.goto(url.href);
    expect(await page.locator('body').innerText()).toContain('a test of SDK v1 wants to use');
    await provider.kill();
    // It is known where that is, so the browser is sent on, and finds nothing there.
    await page.click('button[value=continue]').catch(() => undefined);
    await provider.restart();
    await page.goto(url.href);
    const steps = await goOn(page);
    expect(steps.split('\n').slice(0, 2)).toEqual([
      'here: Continue to Harbour ID',
      expect.stringMatching(/^there: /),
    ]);
    expect(steps).toContain('here: Allow');
    await page.close();
  });
  await client.connect();
  await client.callTool('list_notes', {});
  await client.close();
});

test('no log of any level has a secret of the provider', () => {
  const { out, error } = host.read();
  expect(error).toContain('"level":"info"');
  expect(error + out).not.toContain(secret);
  expect(error + out).not.toContain(providerAccount.password);
  expect(error + out).not.toMatch(/eyJ[\w-]+\.eyJ/);
  expect(out).not.toContain('password');
});
