import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { html, toPageReply } from './html.ts';

test('the policy of a page lets its own style in, and no script', () => {
  const { body, headers } = toPageReply(200, { title: 'Sign in', content: html`<p>Hello</p>` });
  const [, style = ''] = /<style>([^]*)<\/style>/.exec(body) ?? [];
  expect(style).toContain('main {');
  const hash = createHash('sha256').update(style).digest('base64');
  const policy = headers['Content-Security-Policy'];
  expect(policy).toContain(`style-src 'sha256-${hash}'`);
  expect(policy).toContain("default-src 'none'");
  expect(policy).not.toContain('unsafe');
});

test('text is escaped wherever it stands', () => {
  const evil = `"'><script>alert(1)</script>&`;
  const { html: page } = html`<p title="${evil}">${evil}</p>`;
  expect(page).toBe(
    '<p title="&quot;&#39;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&amp;">&quot;&#39;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&amp;</p>',
  );
});
