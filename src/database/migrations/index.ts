import type { Transaction } from 'kysely';
import type { Tables } from '../tables.ts';
import { createTenantsAndKeys } from './001-tenants-and-keys.ts';
import { createSignIn } from './002-sign-in.ts';
import { createServiceClients } from './003-service-clients.ts';

/** One step of the schema. Once released it never changes: a later one corrects it. */
export interface Migration {
  readonly name: string;
  readonly up: (transaction: Transaction<Tables>) => Promise<void>;
}

/** Every step, in order, for both databases. */
export const migrations: readonly Migration[] = [
  { name: '001-tenants-and-keys', up: createTenantsAndKeys },
  { name: '002-sign-in', up: createSignIn },
  { name: '003-service-clients', up: createServiceClients },
];
