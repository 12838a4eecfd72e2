/** The yardstick: what Node itself costs to read a JSON call and to write a JSON answer of the same size. */
import { createServer } from 'node:http';
import { listen } from './child.mjs';

listen(
  createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8');
    request.on('data', (chunk) => (body += chunk));
    request.on('end', () => {
      const { id, params } = JSON.parse(body);
      const result = { content: [{ type: 'text', text: params.arguments.text }] };
      const answer = JSON.stringify({ jsonrpc: '2.0', id, result });
      response.writeHead(200, {
        'Content-Type': 'application/json',
        'Content-Length': Buffer.byteLength(answer),
      });
      response.end(answer);
    });
  }),
);
