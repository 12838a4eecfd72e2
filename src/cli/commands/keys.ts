import { type Command, InvalidArgumentError, Option } from 'commander';
import type { ApiKey } from '../../auth/api-key.ts';
import { type ApiKeyReply, toApiKeyReply } from '../../auth/api-key-reply.ts';
import {
  isKeyId,
  momentSchema,
  nameSchema,
  parseFields,
  roleSchema,
  scopesSchema,
} from '../../auth/key-fields.ts';
import { defaultOverlapSeconds, type KeyService, type MintedKey } from '../../auth/key-service.ts';
import type { TenantStore } from '../../auth/tenant-store.ts';
import { findTenantId } from '../find-tenant.ts';
import { parseDurationSeconds } from '../parse-duration.ts';
import { renderTable } from '../render-table.ts';

/** What the commands about keys work on, opened for one of them. */
export interface OpenedKeys {
  readonly keys: KeyService;
  readonly tenants: TenantStore;
  close(): Promise<void>;
}

/** What the commands need of their surroundings. */
export interface KeysDeps {
  readonly openKeys: () => Promise<OpenedKeys>;
  /** One line, or several, on stdout. */
  readonly write: (line: string) => void;
  readonly now?: () => number;
}

interface JsonFlag {
  readonly json?: true;
}

interface CreateFlags extends JsonFlag {
  readonly tenant?: string;
  readonly name: string;
  readonly scope: string[];
  readonly role: string;
  readonly expires?: number;
}

// The command line is the operator's: whoever can open the database file needs no other right.
const operator = { kind: 'operator' } as const;

/** Adds `mooring keys create|list|show|rotate|revoke`. */
export function addKeysCommand(program: Command, deps: KeysDeps): void {
  const { write, now = Date.now } = deps;
  const keys = program
    .command('keys')
    .summary('make, list, replace and end API keys')
    .description('API keys of a tenant. A key is shown once, when it is made; only its hash is kept.');

  keys
    .command('create')
    .summary('make a key and show it, this once')
    .description('Makes an API key and shows it, this once.')
    .requiredOption('--name <name>', 'what people will know it by')
    .option('--tenant <id or name>', 'whose key it is (default: the only tenant there is)')
    .addOption(
      new Option(
        '--scope <scope...>',
        'what servers are told it may do; "notes" includes "notes:read", "*" is everything',
      ).default(['*'], '"*"'),
    )
    .option('--role <role>', 'platform_operator, tenant_developer, merchant, or your own word', 'merchant')
    .option(
      '--expires <when>',
      'a time from now (90d, 24h) or a moment (2027-01-31T12:00:00Z) (default: never)',
      (text) => parseExpiry(text, now()),
    )
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  $ mooring keys create --name "till 3" --expires 90d')
    .action((flags: CreateFlags) =>
      withKeys(deps, async ({ keys: service, tenants }) => {
        const minted = await service.create(operator, {
          tenantId: await findTenantId(tenants, flags.tenant),
          name: parseFields(nameSchema, flags.name, '--name'),
          scopes: parseFields(scopesSchema, flags.scope, '--scope'),
          role: parseFields(roleSchema, flags.role, '--role'),
          ...(flags.expires !== undefined && { expiresAt: flags.expires }),
        });
        write(renderMinted(minted, flags, now()));
      }),
    );

  keys
    .command('list')
    .summary('list the keys of a tenant')
    .description('Lists the keys of a tenant, oldest first, ended ones included.')
    .option('--tenant <id or name>', 'whose keys (default: the only tenant there is)')
    .option('--json', 'print JSON')
    .action((flags: JsonFlag & { readonly tenant?: string }) =>
      withKeys(deps, async ({ keys: service, tenants }) => {
        const found = await listAll(service, await findTenantId(tenants, flags.tenant));
        const replies = found.map((key) => toApiKeyReply(key, now()));
        write(flags.json ? toJson(replies) : renderKeys(replies));
      }),
    );

  keys
    .command('show')
    .summary('show what is known of a key')
    .description('Shows what is known of a key: not the key itself, which is not kept.')
    .argument('<id>', 'its id, from keys list', parseKeyId)
    .option('--json', 'print JSON')
    .action((id: string, flags: JsonFlag) =>
      withKeys(deps, async ({ keys: service }) => {
        write(renderKey(toApiKeyReply(await service.load(operator, id), now()), flags));
      }),
    );

  keys
    .command('rotate')
    .summary('replace a key; both work for a while')
    .description(
      'Makes a successor with the same rights and shows it, this once. The old key works on for the overlap.',
    )
    .argument('<id>', 'its id, from keys list', parseKeyId)
    .addOption(
      new Option('--overlap <time>', 'how long the old key still works, at most 30d; 0 for not at all')
        .argParser(parseDurationSeconds)
        .default(defaultOverlapSeconds, '1d'),
    )
    .option('--expires <when>', 'expiry of the new key (default: that of the old one)', (text) =>
      parseExpiry(text, now()),
    )
    .option('--json', 'print JSON')
    .action((id: string, flags: JsonFlag & { readonly overlap: number; readonly expires?: number }) =>
      withKeys(deps, async ({ keys: service }) => {
        const minted = await service.rotate(operator, id, {
          overlapSeconds: flags.overlap,
          ...(flags.expires !== undefined && { expiresAt: flags.expires }),
        });
        write(renderMinted(minted, flags, now()));
      }),
    );

  keys
    .command('revoke')
    .summary('end a key at once and for good')
    .description('Ends a key at once and for good; running servers refuse it at the next request.')
    .argument('<id>', 'its id, from keys list', parseKeyId)
    .option('--json', 'print JSON')
    .action((id: string, flags: JsonFlag) =>
      withKeys(deps, async ({ keys: service }) => {
        write(renderKey(toApiKeyReply(await service.revoke(operator, id), now()), flags));
      }),
    );
}

async function withKeys(deps: KeysDeps, work: (opened: OpenedKeys) => Promise<void>): Promise<void> {
  const opened = await deps.openKeys();
  try {
    await work(opened);
  } finally {
    await opened.close();
  }
}

async function listAll(service: KeyService, tenantId: string): Promise<readonly ApiKey[]> {
  const found: ApiKey[] = [];
  let cursor: string | undefined;
  do {
    const page = await service.list(operator, { tenantId, ...(cursor !== undefined && { cursor }) });
    found.push(...page.keys);
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return found;
}

function parseExpiry(text: string, now: number): number {
  const moment = momentSchema.safeParse(text);
  if (moment.success) return moment.data;
  if (/^\d+[smhd]$/.test(text)) return now + parseDurationSeconds(text) * 1000;
  throw new InvalidArgumentError('Give a time from now (90d, 24h) or a moment (2027-01-31T12:00:00Z).');
}

function parseKeyId(text: string): string {
  if (!isKeyId(text)) throw new InvalidArgumentError('This is not the id of a key; see: mooring keys list');
  return text;
}

function renderMinted({ key, secret }: MintedKey, flags: JsonFlag, now: number): string {
  const reply = toApiKeyReply(key, now);
  if (flags.json) return toJson({ ...reply, key: secret });
  return `${secret}\n\nThis is the only time the key is shown: keep it now.\n\n${renderKey(reply, flags)}`;
}

function renderKey(reply: ApiKeyReply, flags: JsonFlag): string {
  if (flags.json) return toJson(reply);
  return renderTable(
    ['FIELD', 'VALUE'],
    Object.entries(reply).map(([name, value]) => [
      name,
      Array.isArray(value) ? value.join(' ') : String(value),
    ]),
  );
}

function renderKeys(replies: readonly ApiKeyReply[]): string {
  return renderTable(
    ['ID', 'NAME', 'KEY', 'STATE', 'ROLE', 'SCOPES', 'EXPIRES', 'LAST USED'],
    replies.map((reply) => [
      reply.id,
      reply.name,
      reply.hint,
      reply.state,
      reply.role,
      reply.scopes.join(' '),
      reply.expiresAt ?? 'never',
      reply.lastUsedAt ?? 'never',
    ]),
  );
}

function toJson(value: unknown): string {
  return JSON.stringify(value, null, 2);
}
