import {
  describeRequestError,
  protocolErrorCodes,
  protocolErrorMeanings,
  requestErrorCodes,
  toHttpStatus,
} from '../../src/errors.ts';

/** `docs/reference/errors.md`, from the tables of codes. */
export function renderErrorsPage(): string {
  const requestRows = requestErrorCodes.map(
    (code) => `| \`${code}\` | ${toHttpStatus(code)} | ${describeRequestError(code)} |`,
  );
  const protocolRows = Object.entries(protocolErrorCodes).map(
    ([name, code]) =>
      `| \`${code}\` | ${toWords(name)} | ${protocolErrorMeanings[name as keyof typeof protocolErrorCodes]} |`,
  );
  return `# Errors

Generated from the tables of codes by \`npm run docs\`; change them there.

Codes are stable: alerts may name them. The text beside a code is for people and may change.

## Requests that HTTP refuses

| Code | Status | Meaning |
| --- | --- | --- |
${requestRows.join('\n')}

## Messages that MCP refuses

A JSON-RPC error with the id of its request.

| Code | Name | Meaning |
| --- | --- | --- |
${protocolRows.join('\n')}
`;
}

function toWords(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}
