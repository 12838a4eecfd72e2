import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BrowserContext, chromium } from 'playwright-core';
import { findProgram } from './program.ts';

/** A real browser without a window, with cookies of its own. */
export interface TestBrowser {
  readonly context: BrowserContext;
  close(): Promise<void>;
}

/** No wait for a page takes longer. */
export const pageTimeoutMs = 20_000;

/** Starts Chromium, installed first where it is missing and may be. It reaches nothing but this machine. */
export async function startBrowser(): Promise<TestBrowser> {
  const executablePath = await findProgram('chromium', 'chromium');
  const folder = mkdtempSync(join(tmpdir(), 'mooring-chromium-'));
  const context = await chromium.launchPersistentContext(folder, {
    executablePath,
    headless: true,
    timeout: pageTimeoutMs,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
  context.setDefaultTimeout(pageTimeoutMs);
  return {
    context,
    close: async () => {
      await context.close();
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
