/**
 * Pages that work without a script. Everything that comes from somebody is escaped by the tag that pages are written
 * with; only what the tag itself made goes in unescaped.
 */
import { createHash } from 'node:crypto';
import type { FullReply, LogFields } from '../../http/messages.ts';

/** HTML that is safe to put into HTML. */
export interface Html {
  readonly html: string;
}

type Part = string | number | Html | readonly Html[] | undefined;

/** Writes HTML. Text is escaped for content and for quoted attributes; `undefined` is nothing. */
export function html(texts: TemplateStringsArray, ...parts: readonly Part[]): Html {
  return { html: texts.reduce((all, text, index) => all + toHtml(parts[index - 1]) + text) };
}

function toHtml(part: Part): string {
  if (part === undefined) return '';
  if (typeof part === 'string' || typeof part === 'number') return escape(String(part));
  return isList(part) ? part.map((each) => each.html).join('') : part.html;
}

function isList(part: Html | readonly Html[]): part is readonly Html[] {
  return Array.isArray(part);
}

const escapes: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escape(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => escapes[character] ?? '');
}

const style = `
:root { color-scheme: light dark; --line: #8886; --edge: #767676; --accent: #1d5fbf; --warn: #8a5a00; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --accent: #8ab4f8; --warn: #f2c66d; --bad: #f2b8b5; } }
* { box-sizing: border-box; }
body { margin: 0; font: 1rem/1.5 system-ui, sans-serif; }
main { max-width: 30rem; margin: 0 auto; padding: 2.5rem 1.25rem; overflow-wrap: anywhere; }
h1 { font-size: 1.4rem; line-height: 1.25; margin: 0 0 1rem; }
h2 { font-size: 1rem; margin: 1.5rem 0 0.25rem; }
ul { margin: 0.25rem 0; padding-left: 1.25rem; }
dl { margin: 1rem 0; border: 1px solid var(--line); border-radius: 0.5rem; padding: 0.75rem 1rem; }
dt { font-size: 0.85rem; opacity: 0.8; }
dd { margin: 0 0 0.5rem; font-weight: 600; }
dd:last-child { margin-bottom: 0; }
label { display: block; margin: 1rem 0 0.25rem; font-weight: 600; }
fieldset { border: 1px solid var(--line); border-radius: 0.5rem; margin: 1rem 0; }
fieldset label { font-weight: 400; margin: 0.25rem 0; }
input[type='text'], input[type='password'] { width: 100%; font: inherit; padding: 0.6rem; border: 1px solid var(--edge); border-radius: 0.4rem; }
.actions { display: flex; flex-wrap: wrap; gap: 0.75rem; margin-top: 1.5rem; }
button { font: inherit; font-weight: 600; padding: 0.6rem 1.2rem; border: 1px solid var(--accent); border-radius: 0.4rem; cursor: pointer; background: none; color: var(--accent); }
button.main { background: var(--accent); color: Canvas; }
a { color: var(--accent); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.note { border-left: 4px solid var(--warn); padding: 0.25rem 0.75rem; }
.problem { border-left: 4px solid var(--bad); padding: 0.25rem 0.75rem; }
.small { font-size: 0.85rem; opacity: 0.85; }
`;

/** Byte for byte what the policy's hash is of: no formatter may touch it. */
const styleElement: Html = { html: `<style>${style}</style>` };

/**
 * No script, nothing from elsewhere, in nobody's frame. Without `form-action`: Chromium holds the whole chain of
 * redirects after a form to it, and that chain ends at the client.
 */
const contentSecurityPolicy = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'; frame-ancestors 'none'; base-uri 'none'`;

/** Headers of every page. */
export const pageHeaders: Readonly<Record<string, string>> = {
  'Content-Type': 'text/html; charset=utf-8',
  'Content-Security-Policy': contentSecurityPolicy,
  'X-Frame-Options': 'DENY',
  'X-Content-Type-Options': 'nosniff',
  // Forms must still say where they come from: `no-referrer` makes browsers send `Origin: null`.
  'Referrer-Policy': 'same-origin',
  'Cache-Control': 'no-store',
};

/** The text of a whole page. */
export function renderDocument(title: string, content: Html): string {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="robots" content="noindex" />
        <title>${title}</title>
        ${styleElement}
      </head>
      <body>
        <main>${content}</main>
      </body>
    </html> `.html;
}

/** A page as a reply. */
export function toPageReply(
  status: number,
  page: { readonly title: string; readonly content: Html; readonly log?: LogFields },
): FullReply {
  const body = renderDocument(page.title, page.content);
  return { kind: 'full', status, headers: pageHeaders, body, ...(page.log && { log: page.log }) };
}
