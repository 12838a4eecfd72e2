import type { Secret } from './secret.ts';
import type { SettingValue } from './setting.ts';
import type { settings } from './settings.ts';

type Table = typeof settings;

type OpenRows<Group> = {
  readonly [
    Name in keyof Group as Group[Name] extends { readonly secret: true } ? never : Name
  ]: SettingValue<Group[Name]>;
};

/** Every setting but the secrets, checked, with defaults filled in; frozen. One group per section of the table. */
export type SettingValues = { readonly [Group in keyof Table]: OpenRows<Table[Group]> };

/**
 * What the host is configured with. Read once at the start and handed on in pieces.
 *
 * Beyond the settings as given: `edge.allowedHosts` and `edge.allowedOrigins` are complete, derived entries included;
 * `storage.dataDir` is absolute; `server.publicUrl` has no trailing slash and stays absent when it was not set, as
 * it is only known once the port is.
 */
export type Config = SettingValues;

/** The settings that must not print. */
export interface Secrets {
  /** 32 bytes each. The first seals; all of them open. Never empty: without a configured one, a key of this process. */
  readonly encryptionKeys: readonly [Secret<Uint8Array>, ...Secret<Uint8Array>[]];
  /** Whether none was configured, so that what it seals ends with this process. */
  readonly isEncryptionKeyMade: boolean;
  /** PostgreSQL, with its password; absent: SQLite in `storage.dataDir`. */
  readonly databaseUrl: Secret | undefined;
  /** Redis, with its password; absent: sessions and streams live in this process. */
  readonly redisUrl: Secret | undefined;
  /** How this host proves to the provider that people sign in at who it is; absent: a public client. */
  readonly upstreamClientSecret: Secret | undefined;
}
