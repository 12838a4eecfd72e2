import type { Readable } from 'node:stream';
import { type Command, Option } from 'commander';
import { nameSchema, parseFields, roleSchema, scopesSchema } from '../../auth/key-fields.ts';
import type { TenantStore } from '../../auth/tenant-store.ts';
import type { MadeUser, UserDetails, UserService } from '../../auth/users/user-service.ts';
import type { User } from '../../auth/users/user-store.ts';
import { findTenantId } from '../find-tenant.ts';
import { readFirstLine } from '../read-first-line.ts';
import { renderTable } from '../render-table.ts';

/** What the commands about users work on, opened for one of them. */
export interface OpenedUsers {
  readonly userService: UserService;
  readonly tenants: TenantStore;
  close(): Promise<void>;
}

/** What the commands need of their surroundings. */
export interface UsersDeps {
  readonly openUsers: () => Promise<OpenedUsers>;
  /** Where a password is read from that is not made here. */
  readonly input: Readable;
  /** One line, or several, on stdout. */
  readonly write: (line: string) => void;
}

interface JsonFlag {
  readonly json?: true;
}

interface MembershipFlags {
  readonly tenant?: string;
  readonly role: string;
  readonly scope: string[];
}

interface CreateFlags extends JsonFlag, MembershipFlags {
  readonly issuer?: string;
  readonly displayName?: string;
  readonly email?: string;
  readonly passwordStdin?: true;
}

const pageSize = 200;
const userArgument = 'the id, from users list, or the name to sign in with here';

/** Adds `mooring users create|list|show|password|activate|deactivate|join|leave`. */
export function addUsersCommand(program: Command, deps: UsersDeps): void {
  const users = program
    .command('users')
    .summary('make, list and end the accounts of people')
    .description(
      'People who sign in, and what they are in tenants. A password is shown once, when it is made; only its hash is kept.',
    );
  addCreate(users, deps);
  addReading(users, deps);
  addChanges(users, deps);
  addMemberships(users, deps);
}

function addCreate(users: Command, deps: UsersDeps): void {
  withMembershipOptions(
    users
      .command('create')
      .summary('make an account and show its password, this once')
      .description('Makes an account in a tenant and shows its password, this once.')
      .argument('<name>', 'the name to sign in with; with --issuer, the `sub` of the user there'),
  )
    .option('--issuer <url>', 'who vouches for this user (default: a password here)')
    .option('--display-name <name>', 'what people will know the user by')
    .option('--email <address>', 'for people; nothing is sent there')
    .option('--password-stdin', 'read the password from standard input instead of making one')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  $ mooring users create ada --role merchant --scope notes:read')
    .action((subject: string, flags: CreateFlags) =>
      withUsers(deps, async ({ userService, tenants }) => {
        const password = await readPassword(flags, deps);
        const made = await userService.create({
          subject,
          membership: await toMembership(tenants, flags),
          ...(flags.issuer !== undefined && { issuer: flags.issuer }),
          ...(flags.displayName !== undefined && {
            name: parseFields(nameSchema, flags.displayName, '--display-name'),
          }),
          ...(flags.email !== undefined && { email: parseFields(nameSchema, flags.email, '--email') }),
          ...(password !== undefined && { password }),
        });
        deps.write(renderMade(made, await userService.find(made.user.id), flags));
      }),
    );
}

function addReading(users: Command, deps: UsersDeps): void {
  users
    .command('list')
    .summary('list all users')
    .description('Lists all users, oldest first.')
    .option('--json', 'print JSON')
    .action((flags: JsonFlag) =>
      withUsers(deps, async ({ userService }) => {
        const found = (await listAll(userService)).map(toReply);
        deps.write(flags.json ? toJson(found) : renderUsers(found));
      }),
    );

  users
    .command('show')
    .summary('show a user and what they are in tenants')
    .description('Shows a user and what they are in tenants.')
    .argument('<user>', userArgument)
    .option('--json', 'print JSON')
    .action((wanted: string, flags: JsonFlag) =>
      withUsers(deps, async ({ userService }) => {
        deps.write(renderDetails(await userService.find(wanted), flags));
      }),
    );
}

function addChanges(users: Command, deps: UsersDeps): void {
  users
    .command('password')
    .summary('set a new password; what was signed in with the old one ends')
    .description(
      'Sets a new password and shows it, this once. Whoever signed in with the old one has to again.',
    )
    .argument('<user>', userArgument)
    .option('--password-stdin', 'read the password from standard input instead of making one')
    .option('--json', 'print JSON')
    .action((wanted: string, flags: JsonFlag & { readonly passwordStdin?: true }) =>
      withUsers(deps, async ({ userService }) => {
        const password = await readPassword(flags, deps);
        const { user } = await userService.find(wanted);
        const made = await userService.setPassword(user.id, password);
        deps.write(renderMade(made, await userService.find(user.id), flags));
      }),
    );

  for (const [name, isActive, sentence] of [
    ['deactivate', false, 'Ends all that the user is signed in to, and lets them sign in no more.'],
    ['activate', true, 'Lets a user sign in again.'],
  ] as const) {
    users
      .command(name)
      .summary(isActive ? 'let a user sign in again' : 'end a user at once, until activated again')
      .description(sentence)
      .argument('<user>', userArgument)
      .option('--json', 'print JSON')
      .action((wanted: string, flags: JsonFlag) =>
        withUsers(deps, async ({ userService }) => {
          const { user } = await userService.find(wanted);
          await userService.setActive(user.id, isActive);
          deps.write(renderDetails(await userService.find(user.id), flags));
        }),
      );
  }
}

function addMemberships(users: Command, deps: UsersDeps): void {
  withMembershipOptions(
    users
      .command('join')
      .summary('add a user to a tenant, or change what they are there')
      .description(
        'Adds a user to a tenant, or changes what they are there; then they have to sign in again.',
      )
      .argument('<user>', userArgument),
  )
    .option('--json', 'print JSON')
    .action((wanted: string, flags: JsonFlag & MembershipFlags) =>
      withUsers(deps, async ({ userService, tenants }) => {
        const { user } = await userService.find(wanted);
        deps.write(renderDetails(await userService.join(user.id, await toMembership(tenants, flags)), flags));
      }),
    );

  users
    .command('leave')
    .summary('take a user out of a tenant')
    .description('Takes a user out of a tenant, and ends what they are signed in to.')
    .argument('<user>', userArgument)
    .option('--tenant <id or name>', 'which (default: the only tenant there is)')
    .option('--json', 'print JSON')
    .action((wanted: string, flags: JsonFlag & { readonly tenant?: string }) =>
      withUsers(deps, async ({ userService, tenants }) => {
        const { user } = await userService.find(wanted);
        const tenantId = await findTenantId(tenants, flags.tenant);
        deps.write(renderDetails(await userService.leave(user.id, tenantId), flags));
      }),
    );
}

function withMembershipOptions(command: Command): Command {
  return command
    .option('--tenant <id or name>', 'in which tenant (default: the only tenant there is)')
    .option('--role <role>', 'platform_operator, tenant_developer, merchant, or your own word', 'merchant')
    .addOption(
      new Option('--scope <scope...>', 'the most that the user may let clients do there').default(
        ['*'],
        '"*"',
      ),
    );
}

async function toMembership(
  tenants: TenantStore,
  flags: MembershipFlags,
): Promise<{ readonly tenantId: string; readonly role: string; readonly scopes: readonly string[] }> {
  return {
    tenantId: await findTenantId(tenants, flags.tenant),
    role: parseFields(roleSchema, flags.role, '--role'),
    scopes: parseFields(scopesSchema, flags.scope, '--scope'),
  };
}

async function readPassword(
  flags: { readonly passwordStdin?: true },
  { input }: UsersDeps,
): Promise<string | undefined> {
  return flags.passwordStdin ? readFirstLine(input) : undefined;
}

async function withUsers(deps: UsersDeps, work: (opened: OpenedUsers) => Promise<void>): Promise<void> {
  const opened = await deps.openUsers();
  try {
    await work(opened);
  } finally {
    await opened.close();
  }
}

async function listAll(service: UserService): Promise<readonly User[]> {
  const found: User[] = [];
  for (;;) {
    const page = await service.list(pageSize, found.at(-1));
    found.push(...page);
    if (page.length < pageSize) return found;
  }
}

interface UserReply {
  readonly id: string;
  readonly issuer: string;
  readonly subject: string;
  readonly name?: string;
  readonly email?: string;
  readonly isActive: boolean;
  readonly createdAt: string;
}

function toReply({ createdAt, ...user }: User): UserReply {
  return { ...user, createdAt: new Date(createdAt).toISOString() };
}

function renderMade({ password }: MadeUser, details: UserDetails, flags: JsonFlag): string {
  if (flags.json) return toJson({ ...toDetailsReply(details), ...(password !== undefined && { password }) });
  const shown = renderDetails(details, flags);
  return password === undefined
    ? shown
    : `${password}\n\nThis is the only time the password is shown: keep it now.\n\n${shown}`;
}

function toDetailsReply({ user, memberships }: UserDetails): UserReply & { readonly memberships: unknown } {
  return {
    ...toReply(user),
    memberships: memberships.map(({ tenantId, role, scopes, isActive }) => ({
      tenantId,
      role,
      scopes,
      isActive,
    })),
  };
}

function renderDetails(details: UserDetails, flags: JsonFlag): string {
  if (flags.json) return toJson(toDetailsReply(details));
  const memberships = renderTable(
    ['TENANT', 'ROLE', 'SCOPES', 'STATE'],
    details.memberships.map(({ tenantId, role, scopes, isActive }) => [
      tenantId,
      role,
      scopes.join(' '),
      isActive ? 'active' : 'inactive',
    ]),
  );
  return `${renderUsers([toReply(details.user)])}\n\n${memberships}`;
}

function renderUsers(replies: readonly UserReply[]): string {
  return renderTable(
    ['ID', 'SUBJECT', 'ISSUER', 'NAME', 'STATE', 'CREATED'],
    replies.map(({ id, subject, issuer, name, isActive, createdAt }) => [
      id,
      subject,
      issuer,
      name ?? '-',
      isActive ? 'active' : 'inactive',
      createdAt,
    ]),
  );
}

function toJson(value: unknown): string {
  return JSON.stringify(value, null, 2);
}
