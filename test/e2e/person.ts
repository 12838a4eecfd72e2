import { startBrowser } from '../browser.ts';
import type { MooringProcess } from './mooring-process.ts';
import type { Visit } from './signing-in-client.ts';

/** Somebody with a browser and the account that a first run made. */
export interface Person {
  readonly password: string;
  /** Signs in where that is asked, and allows what is asked. */
  readonly allow: Visit;
  close(): Promise<void>;
}

/** @param host one whose first run made an account, and printed its password */
export async function createPerson(host: MooringProcess): Promise<Person> {
  const password = /password {2}(\S+)/.exec(host.read().out)?.[1];
  if (password === undefined) throw new Error('the host printed no password');
  const { context, close } = await startBrowser();
  return {
    password,
    allow: async (url) => {
      const page = await context.newPage();
      try {
        await page.goto(url.href);
        if ((await page.locator('input[name=password]').count()) > 0) {
          await page.fill('input[name=name]', 'admin');
          await page.fill('input[name=password]', password);
          await page.click('button[value=continue]');
        }
        await page.click('button[value=allow]');
        await page.waitForURL(({ searchParams }) => searchParams.has('code'));
      } finally {
        await page.close();
      }
    },
    close,
  };
}
