/**
 * Ends a handler's run because the client must answer first; the client's retry runs it again with the answer. Let it
 * pass: a handler that catches it changes nothing, what it returns then is dropped.
 *
 * @see MCP 2026-07-28, Multi Round-Trip Requests
 */
export class InputRequired extends Error {
  override readonly name = 'InputRequired';

  constructor() {
    super('The client must answer first; this call runs again when it has');
  }
}
