import { defineConfig } from 'vitest/config';

const longMs = 60_000;
const setupFiles = ['test/property-seed.ts'];

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          setupFiles,
          // Property tests on a busy machine; no test waits that long for anything.
          testTimeout: longMs / 2,
          include: ['src/**/*.test.ts', 'servers/*/src/**/*.test.ts', 'scripts/**/*.test.ts'],
        },
      },
      {
        test: {
          name: 'integration',
          setupFiles,
          include: ['test/integration/**/*.test.ts'],
          testTimeout: longMs,
          hookTimeout: longMs,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          testTimeout: longMs,
          hookTimeout: 2 * longMs,
        },
      },
      {
        test: {
          name: 'faults',
          include: ['test/faults/**/*.test.ts'],
          testTimeout: longMs,
          hookTimeout: 2 * longMs,
        },
      },
      {
        test: {
          name: 'attacks',
          include: ['test/attacks/**/*.test.ts'],
          testTimeout: longMs,
          hookTimeout: longMs,
        },
      },
      {
        test: {
          name: 'conformance',
          include: ['test/conformance/**/*.test.ts'],
          testTimeout: 5 * longMs,
          hookTimeout: 2 * longMs,
        },
      },
    ],
  },
});
