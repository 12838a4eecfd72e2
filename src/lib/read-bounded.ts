/**
 * The text of a reply's body, UTF-8.
 *
 * @throws TypeError once it is larger than `maxBytes`; nothing more is read then
 */
export async function readBounded(reply: Response, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  // The types of the web know no iteration of a body; Node.js has it.
  for await (const chunk of (reply.body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) throw new TypeError(`the document is larger than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
