import { readFileSync } from 'node:fs';
import { type Command, Option } from 'commander';
import type {
  ClientService,
  MadeServiceClient,
  ServiceClientInput,
} from '../../auth/clients/client-service.ts';
import type { ServiceClient } from '../../auth/clients/service-client-store.ts';
import { nameSchema, parseFields, roleSchema, scopesSchema } from '../../auth/key-fields.ts';
import type { TenantStore } from '../../auth/tenant-store.ts';
import { CommandFailure } from '../command-failure.ts';
import { findTenantId } from '../find-tenant.ts';
import { renderTable } from '../render-table.ts';

/** What the commands about clients work on, opened for one of them. */
export interface OpenedClients {
  readonly clientService: ClientService;
  readonly tenants: TenantStore;
  close(): Promise<void>;
}

/** What the commands need of their surroundings. */
export interface ClientsDeps {
  readonly openClients: () => Promise<OpenedClients>;
  /** One line, or several, on stdout. */
  readonly write: (line: string) => void;
}

interface JsonFlag {
  readonly json?: true;
}

interface CreateFlags extends JsonFlag {
  readonly tenant?: string;
  readonly role: string;
  readonly scope: string[];
  readonly jwks?: string;
  readonly jwksUri?: string;
}

const pageSize = 200;

/** Adds `mooring clients create|list|revoke`. */
export function addClientsCommand(program: Command, deps: ClientsDeps): void {
  const clients = program
    .command('clients')
    .summary('make, list and revoke programs that call for themselves')
    .description(
      'Programs that get tokens for themselves, without a person: by the client credentials grant, proving themselves with a key of their own (private_key_jwt). Only public keys are kept.',
    );
  addCreate(clients, deps);
  addReading(clients, deps);
}

function addCreate(clients: Command, deps: ClientsDeps): void {
  clients
    .command('create')
    .summary('make a client; without keys of its own, show its private key, this once')
    .description(
      'Makes a client in a tenant. Without --jwks and --jwks-uri a key is made, and shown this once.',
    )
    .argument('<name>', 'what people will know it by')
    .option('--tenant <id or name>', 'in which tenant (default: the only tenant there is)')
    .option('--role <role>', 'platform_operator, tenant_developer, merchant, or your own word', 'merchant')
    .addOption(new Option('--scope <scope...>', 'the most that its tokens may carry').makeOptionMandatory())
    .addOption(
      new Option('--jwks <file>', 'its public keys: a JSON Web Key, or a set of them').conflicts('jwksUri'),
    )
    .option('--jwks-uri <url>', 'where it publishes its public keys (https)')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nExample:\n  $ mooring clients create nightly --scope notes:read --json > nightly.json',
    )
    .action((name: string, flags: CreateFlags) =>
      withClients(deps, async ({ clientService, tenants }) => {
        const keys = readKeys(flags);
        const made = await clientService.create({
          name: parseFields(nameSchema, name, 'The name'),
          tenantId: await findTenantId(tenants, flags.tenant),
          role: parseFields(roleSchema, flags.role, '--role'),
          scopes: parseFields(scopesSchema, flags.scope, '--scope'),
          ...(keys !== undefined && { keys }),
        });
        deps.write(renderMade(made, flags));
      }),
    );
}

function addReading(clients: Command, deps: ClientsDeps): void {
  clients
    .command('list')
    .summary('list all clients')
    .description('Lists all clients, oldest first.')
    .option('--tenant <id or name>', 'those of one tenant')
    .option('--json', 'print JSON')
    .action((flags: JsonFlag & { readonly tenant?: string }) =>
      withClients(deps, async ({ clientService, tenants }) => {
        const tenantId = flags.tenant === undefined ? undefined : await findTenantId(tenants, flags.tenant);
        const found = await listAll(clientService, tenantId);
        deps.write(flags.json ? toJson(found.map(toReply)) : renderClients(found));
      }),
    );

  clients
    .command('revoke')
    .summary('forget a client and end its tokens')
    .description('Forgets a client and ends its tokens, on every instance. It cannot be taken back.')
    .argument('<client>', 'its id, from clients list')
    .option('--json', 'print JSON')
    .action((id: string, flags: JsonFlag) =>
      withClients(deps, async ({ clientService }) => {
        const client = await clientService.revoke(id);
        deps.write(flags.json ? toJson(toReply(client)) : `Revoked: ${client.name} (${client.id})`);
      }),
    );
}

function readKeys({ jwks, jwksUri }: CreateFlags): ServiceClientInput['keys'] {
  if (jwksUri !== undefined) return { jwksUri };
  if (jwks === undefined) return undefined;
  try {
    return { jwks: JSON.parse(readFileSync(jwks, 'utf8')) as unknown };
  } catch (error) {
    const reason =
      error instanceof SyntaxError ? 'is not JSON: give a JSON Web Key, or a set of them' : 'cannot be read';
    throw new CommandFailure(`${jwks} ${reason}`);
  }
}

async function withClients(deps: ClientsDeps, work: (opened: OpenedClients) => Promise<void>): Promise<void> {
  const opened = await deps.openClients();
  try {
    await work(opened);
  } finally {
    await opened.close();
  }
}

async function listAll(
  service: ClientService,
  tenantId: string | undefined,
): Promise<readonly ServiceClient[]> {
  const found: ServiceClient[] = [];
  for (;;) {
    const after = found.at(-1);
    const page = await service.list(pageSize, {
      ...(tenantId !== undefined && { tenantId }),
      ...(after !== undefined && { after }),
    });
    found.push(...page);
    if (page.length < pageSize) return found;
  }
}

function toReply({ createdAt, ...client }: ServiceClient): object {
  return { ...client, createdAt: new Date(createdAt).toISOString() };
}

function renderMade({ client, privateKey }: MadeServiceClient, flags: JsonFlag): string {
  if (flags.json) return toJson({ ...toReply(client), ...(privateKey !== undefined && { privateKey }) });
  const shown = renderClients([client]);
  return privateKey === undefined
    ? shown
    : `${privateKey.trimEnd()}\n\nThis is the only time the private key is shown: keep it now.\n\n${shown}`;
}

function renderClients(clients: readonly ServiceClient[]): string {
  return renderTable(
    ['ID', 'NAME', 'TENANT', 'ROLE', 'SCOPES', 'KEYS', 'CREATED'],
    clients.map(({ id, name, tenantId, role, scopes, keys, createdAt }) => [
      id,
      name,
      tenantId,
      role,
      scopes.join(' '),
      keys.kind === 'jwks' ? String(keys.keys.length) : keys.uri,
      new Date(createdAt).toISOString(),
    ]),
  );
}

function toJson(value: unknown): string {
  return JSON.stringify(value, null, 2);
}
