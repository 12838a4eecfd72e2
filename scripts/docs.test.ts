import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, it } from 'vitest';
import { listSettings } from '../src/config/load-config.ts';
import { requestErrorCodes } from '../src/errors.ts';
import { checkReference, renderReferencePages } from './docs/reference-pages.ts';

it('every setting, error code and command has its place in the reference', () => {
  const pages = renderReferencePages();
  for (const [name, { variable }] of listSettings()) {
    expect(pages.get('docs/reference/configuration.md')).toContain(`### \`${variable}\``);
    expect(pages.get('docs/reference/configuration.md')).toContain(`\`${name}\``);
  }
  for (const code of requestErrorCodes)
    expect(pages.get('docs/reference/errors.md')).toContain(`| \`${code}\` |`);
  expect(pages.get('docs/reference/cli.md')).toContain('## mooring start');
});

it('a page is stale when it is missing or says anything else', () => {
  const root = mkdtempSync(join(tmpdir(), 'mooring-docs-'));
  const pages = renderReferencePages();
  expect(checkReference(root).map(({ at }) => at)).toEqual([...pages.keys()]);
  for (const [path, text] of pages) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  expect(checkReference(root)).toEqual([]);
  writeFileSync(join(root, 'docs/reference/errors.md'), 'changed by hand');
  expect(checkReference(root).map(({ at }) => at)).toEqual(['docs/reference/errors.md']);
  rmSync(root, { recursive: true });
});
