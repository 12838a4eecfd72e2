import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { StreamEvent } from '../../mcp/call-reply.ts';
import { renderEvent } from './event-stream.ts';

/** Reads one event as the HTML Living Standard, section 9.2.6, tells clients to. */
function parseAsClient(text: string): { id?: string; retryMs?: number; data?: string } {
  const fields: { id?: string; retryMs?: number; data?: string } = {};
  for (const line of text.split('\n')) {
    const colon = line.indexOf(':');
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (name === 'id') fields.id = value;
    if (name === 'retry') fields.retryMs = Number(value);
    if (name === 'data') fields.data = fields.data === undefined ? value : `${fields.data}\n${value}`;
  }
  return fields;
}

describe('an event', () => {
  it.each<[StreamEvent, string]>([
    [{ data: '{}' }, 'data: {}\n\n'],
    [{ id: 'a_1', data: '{}' }, 'id: a_1\ndata: {}\n\n'],
    // Primes the client with an id; its data is empty but there, or the id would not count.
    [{ id: 'a_1', data: '', retryMs: 5 }, 'id: a_1\nretry: 5\ndata: \n\n'],
    // An instruction, and no event that a client could take for a message.
    [{ data: '', retryMs: 5 }, 'retry: 5\n\n'],
  ])('%j is written', (event, text) => {
    expect(renderEvent(event)).toBe(text);
  });

  it('reads back, whatever JSON it carries, and is one event', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const data = JSON.stringify(value);
        const text = renderEvent({ id: 'a_1', data });
        expect(parseAsClient(text)).toEqual({ id: 'a_1', data });
        expect(text.indexOf('\n\n')).toBe(text.length - 2);
        expect(text).not.toContain('\r');
      }),
    );
  });
});
