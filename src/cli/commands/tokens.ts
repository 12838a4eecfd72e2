import { type Command, InvalidArgumentError } from 'commander';
import { isKeyId } from '../../auth/key-fields.ts';
import type { RevocationKind } from '../../auth/revocation/revocation-store.ts';
import type { StoredSigningKey } from '../../auth/tokens/signing-key-store.ts';
import { renderTable } from '../render-table.ts';

/** What the commands about tokens work on, opened for one of them. */
export interface OpenedTokens {
  /** @param isAtOnce whether the new key signs from now on */
  rotateKeys(isAtOnce: boolean): Promise<StoredSigningKey>;
  /** @returns when it was revoked, milliseconds since the epoch */
  revoke(kind: RevocationKind, name: string): Promise<number>;
  /** Ends an API key. @returns when */
  revokeKey(id: string): Promise<number>;
  close(): Promise<void>;
}

/** What the commands need of their surroundings. */
export interface TokensDeps {
  readonly openTokens: () => Promise<OpenedTokens>;
  /** One line, or several, on stdout. */
  readonly write: (line: string) => void;
}

interface JsonFlag {
  readonly json?: true;
}

type RevokeFlags = JsonFlag & Partial<Record<RevokedThing, string>>;
type RevokedThing = 'tokenId' | 'family' | 'grant' | 'user' | 'client' | 'tenant' | 'key';

/** By flag: what a revocation calls it, and what people do. API keys are revoked in their own store. */
const things: Readonly<
  Record<
    RevokedThing,
    { readonly kind: RevocationKind | 'key'; readonly flag: string; readonly help: string }
  >
> = {
  tokenId: { kind: 'token', flag: '--token-id <jti>', help: 'one access token, by its `jti`' },
  family: { kind: 'session', flag: '--family <sid>', help: 'all tokens of one sign-in, by their `sid`' },
  grant: { kind: 'grant', flag: '--grant <gid>', help: 'what a user allowed a client, by `gid`' },
  user: { kind: 'user', flag: '--user <id>', help: "all tokens of a user, by the tokens' `sub`" },
  client: { kind: 'client', flag: '--client <id>', help: 'all tokens of a client, by `client_id`' },
  tenant: { kind: 'tenant', flag: '--tenant <id>', help: 'all tokens of a tenant, by its id' },
  key: { kind: 'key', flag: '--key <id>', help: 'an API key, by its id from keys list' },
};
const names = Object.keys(things) as readonly RevokedThing[];
const maxNameLength = 512;

/** Adds `mooring tokens rotate-keys|revoke`. */
export function addTokensCommand(program: Command, deps: TokensDeps): void {
  const tokens = program
    .command('tokens')
    .summary('end access tokens, replace the keys that sign them')
    .description('Access tokens of this host, and the keys that it signs them with.');

  tokens
    .command('rotate-keys')
    .summary('make a new signing key; tokens of the old one stay good')
    .description(
      'Makes a new signing key, which is published at once and signs after 10 minutes. What the old key signed stays good until its end.',
    )
    .option('--now', 'sign with it from now on, for a key that leaked')
    .option('--json', 'print JSON')
    .action((flags: JsonFlag & { readonly now?: true }) =>
      withTokens(deps, async (opened) => {
        deps.write(renderKey(await opened.rotateKeys(flags.now ?? false), flags));
      }),
    );

  const revoke = tokens
    .command('revoke')
    .summary('end tokens before their time, on every instance')
    .description(
      'Ends tokens that were issued until now; running servers refuse them within a second. A new sign-in is not concerned.',
    );
  for (const name of names) revoke.option(things[name].flag, things[name].help, parseName);
  revoke
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  $ mooring tokens revoke --user 5d0c6a4e-6f3b-4f0e-9a53-3c5a8f6d1b2e')
    .action((flags: RevokeFlags) => {
      const given = names.filter((name) => flags[name] !== undefined);
      const [name] = given;
      if (name === undefined || given.length > 1)
        revoke.error(`error: name exactly one of ${names.map((each) => things[each].flag).join(', ')}`);
      return withTokens(deps, (opened) => revokeOne(opened, deps, { name: name as RevokedThing, flags }));
    });
}

async function revokeOne(
  opened: OpenedTokens,
  { write }: TokensDeps,
  { name, flags }: { readonly name: RevokedThing; readonly flags: RevokeFlags },
): Promise<void> {
  const { kind } = things[name];
  const value = flags[name] ?? '';
  if (kind === 'key' && !isKeyId(value))
    throw new InvalidArgumentError('This is not the id of a key; see: mooring keys list');
  const at = kind === 'key' ? await opened.revokeKey(value) : await opened.revoke(kind, value);
  const reply = { kind, name: value, revokedAt: new Date(at).toISOString() };
  write(
    flags.json
      ? toJson(reply)
      : renderTable(['KIND', 'NAME', 'REVOKED'], [[reply.kind, reply.name, reply.revokedAt]]),
  );
}

async function withTokens(deps: TokensDeps, work: (opened: OpenedTokens) => Promise<void>): Promise<void> {
  const opened = await deps.openTokens();
  try {
    await work(opened);
  } finally {
    await opened.close();
  }
}

function parseName(text: string): string {
  if (text === '' || text.length > maxNameLength || !/^[\x21-\x7E]+$/.test(text))
    throw new InvalidArgumentError(`Give 1 to ${maxNameLength} printable characters without spaces.`);
  return text;
}

function renderKey({ id, createdAt, activeAt }: StoredSigningKey, flags: JsonFlag): string {
  const reply = {
    kid: id,
    createdAt: new Date(createdAt).toISOString(),
    signsFrom: new Date(activeAt).toISOString(),
  };
  return flags.json
    ? toJson(reply)
    : renderTable(['KEY', 'CREATED', 'SIGNS FROM'], [[reply.kid, reply.createdAt, reply.signsFrom]]);
}

function toJson(value: unknown): string {
  return JSON.stringify(value, null, 2);
}
