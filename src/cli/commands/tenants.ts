import { randomUUID } from 'node:crypto';
import type { Command } from 'commander';
import { nameSchema, parseFields, tenantIdSchema } from '../../auth/key-fields.ts';
import type { Tenant, TenantStore } from '../../auth/tenant-store.ts';
import { CommandFailure } from '../command-failure.ts';
import { renderTable } from '../render-table.ts';

/** What the commands need of their surroundings. */
export interface TenantsDeps {
  readonly openKeys: () => Promise<{ readonly tenants: TenantStore; close(): Promise<void> }>;
  /** One line, or several, on stdout. */
  readonly write: (line: string) => void;
  readonly now?: () => number;
}

const pageSize = 200;

/** Adds `mooring tenants create|list`. */
export function addTenantsCommand(program: Command, deps: TenantsDeps): void {
  const { write, now = Date.now } = deps;
  const tenants = program
    .command('tenants')
    .summary('make and list tenants')
    .description('Tenants: the customers whom keys, sessions and data belong to.');

  tenants
    .command('create')
    .summary('make a tenant')
    .description('Makes a tenant.')
    .requiredOption('--name <name>', 'what people will know it by')
    .option('--id <id>', "your own id for it, e.g. a business's (default: a new UUID)")
    .option('--json', 'print JSON')
    .action((flags: { readonly name: string; readonly id?: string; readonly json?: true }) =>
      withTenants(deps, async (store) => {
        const tenant: Tenant = {
          id: flags.id === undefined ? randomUUID() : parseFields(tenantIdSchema, flags.id, '--id'),
          name: parseFields(nameSchema, flags.name, '--name'),
          createdAt: now(),
        };
        if (!(await store.insert(tenant)))
          throw new CommandFailure(`There already is a tenant with the id ${tenant.id}.`);
        write(flags.json ? toJson(toReply(tenant)) : renderTenants([tenant]));
      }),
    );

  tenants
    .command('list')
    .summary('list all tenants')
    .description('Lists all tenants, oldest first.')
    .option('--json', 'print JSON')
    .action((flags: { readonly json?: true }) =>
      withTenants(deps, async (store) => {
        const found = await listAll(store);
        write(flags.json ? toJson(found.map(toReply)) : renderTenants(found));
      }),
    );
}

async function withTenants(deps: TenantsDeps, work: (store: TenantStore) => Promise<void>): Promise<void> {
  const opened = await deps.openKeys();
  try {
    await work(opened.tenants);
  } finally {
    await opened.close();
  }
}

async function listAll(store: TenantStore): Promise<readonly Tenant[]> {
  const found: Tenant[] = [];
  for (;;) {
    const page = await store.list(pageSize, found.at(-1));
    found.push(...page);
    if (page.length < pageSize) return found;
  }
}

function toReply({ id, name, createdAt }: Tenant): { id: string; name: string; createdAt: string } {
  return { id, name, createdAt: new Date(createdAt).toISOString() };
}

function renderTenants(found: readonly Tenant[]): string {
  return renderTable(
    ['ID', 'NAME', 'CREATED'],
    found.map(toReply).map(({ id, name, createdAt }) => [id, name, createdAt]),
  );
}

function toJson(value: unknown): string {
  return JSON.stringify(value, null, 2);
}
