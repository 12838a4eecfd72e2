/** What the texts about a running server speak of. */
export interface RunningServer {
  /** As the server calls itself; becomes its name in client configurations. */
  readonly name: string;
  /** The MCP endpoint. */
  readonly url: string;
  /** Where the data is kept. */
  readonly dataDir: string;
  /** The provider that people sign in at; absent where they do so here, or not at all. */
  readonly providerName?: string;
  /** The tenant that people join by their first sign-in there; absent where somebody lets each of them in. */
  readonly joinedTenant?: string;
}

/** The first key, while it can still be shown. */
export interface FirstKey {
  readonly tenantName: string;
  readonly secret: string;
}

/** The first account to sign in with, while its password can still be shown. */
export interface FirstAccount {
  readonly name: string;
  readonly password: string;
}

/**
 * What a person reads after the first start: where the server is, the key, and how to connect each client.
 *
 * @param account where people sign in: clients that can are then connected without the key
 */
export function renderFirstRun(server: RunningServer, key: FirstKey, account?: FirstAccount): string {
  const name = toClientName(server.name);
  const people = renderPeople(server, account);
  const secret = people === '' ? key.secret : undefined;
  return `
${renderHeading(server)}

  This is the first run. A tenant named "${key.tenantName}" was created, and a key for it:

    ${key.secret}

  It is shown this once: keep it. Everything is kept in ${server.dataDir}
${people}
Claude Code

${indent(renderClaudeCode(name, server.url, secret))}

Cursor, in .cursor/mcp.json

${indent(renderClientFile('mcpServers', name, { url: server.url }, secret))}

VS Code, in .vscode/mcp.json

${indent(renderClientFile('servers', name, { type: 'http', url: server.url }, secret))}

MCP Inspector (Node.js 22 or later)

${indent(renderInspector(server.url, key.secret))}

curl

${indent(renderCurl(server.url, key.secret))}

Stop with Ctrl+C.
`;
}

/** Empty where there is nothing to tell of how people sign in. */
function renderPeople(
  { providerName, joinedTenant }: RunningServer,
  account: FirstAccount | undefined,
): string {
  if (providerName !== undefined) return `\n${renderProvider(providerName, joinedTenant)}\n`;
  return account === undefined ? '' : `\n${renderAccount(account)}\n`;
}

function renderProvider(name: string, joinedTenant: string | undefined): string {
  const newcomers =
    joinedTenant === undefined
      ? 'Whoever is new is told the id of their account; to let them in: npx mooring users join --help'
      : `Whoever is new joins the tenant ${joinedTenant}.`;
  return `  Clients open a browser, and people sign in at ${name}.
  ${newcomers}`;
}

function renderAccount({ name, password }: FirstAccount): string {
  return `  An account was created too. Clients open a browser, and you sign in there as

    name      ${name}
    password  ${password}

  The password is shown this once: keep it. For another account: npx mooring users create --help`;
}

/** What a person reads after every later start. */
export function renderLaterRun(server: RunningServer, account?: FirstAccount): string {
  return `
${renderHeading(server)}
${renderPeople(server, account)}
  Everything is kept in ${server.dataDir}
  For another key: npx mooring keys create --help

Stop with Ctrl+C.
`;
}

function renderHeading(server: RunningServer): string {
  return `${server.name} is running at ${server.url}`;
}

/** @param secret absent where the client signs in by itself */
function renderClaudeCode(name: string, url: string, secret: string | undefined): string {
  const command = `claude mcp add --transport http ${name} ${url}`;
  return secret === undefined ? command : `${command} \\\n  --header "Authorization: Bearer ${secret}"`;
}

function renderClientFile(
  listName: string,
  name: string,
  address: Readonly<Record<string, string>>,
  secret: string | undefined,
): string {
  const headers = secret === undefined ? undefined : { Authorization: `Bearer ${secret}` };
  const client = { ...address, ...(headers !== undefined && { headers }) };
  return JSON.stringify({ [listName]: { [name]: client } }, undefined, 2);
}

function renderInspector(url: string, secret: string): string {
  return `npx @modelcontextprotocol/inspector --cli ${url} --transport http \\
  --header "Authorization: Bearer ${secret}" \\
  --method tools/list`;
}

/** A request of the 2026-07-28 revision: what it says of itself travels with it, so it needs no session. */
function renderCurl(url: string, secret: string): string {
  const meta = `"io.modelcontextprotocol/protocolVersion":"2026-07-28",
  "io.modelcontextprotocol/clientInfo":{"name":"curl","version":"1"},
  "io.modelcontextprotocol/clientCapabilities":{}`;
  return `curl ${url} \\
  -H 'Authorization: Bearer ${secret}' \\
  -H 'Content-Type: application/json' \\
  -H 'Accept: application/json, text/event-stream' \\
  -H 'MCP-Protocol-Version: 2026-07-28' \\
  -H 'Mcp-Method: tools/list' \\
  -d '{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{
  ${meta}}}}'`;
}

/** Letters, digits, `-` and `_`, which every client and every shell takes as they are. */
function toClientName(name: string): string {
  const plain = name.replace(/[^A-Za-z0-9_-]+/g, '-').replace(/^-+|-+$/g, '');
  return plain === '' ? 'mooring' : plain;
}

function indent(text: string): string {
  return text.replaceAll(/^/gm, '  ');
}
