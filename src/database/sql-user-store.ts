import type { Insertable, Selectable } from 'kysely';
import type { PagePosition } from '../auth/api-key-store.ts';
import type { Membership, User, UserChange, UserStore } from '../auth/users/user-store.ts';
import { runQuery } from './database-error.ts';
import type { Database } from './open-database.ts';
import { isAfter } from './sql-api-key-store.ts';
import type { MembershipRow, UserRow } from './tables.ts';

/** Users and their memberships in SQLite or PostgreSQL. */
export class SqlUserStore implements UserStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  insert(user: User, passwordHash?: string, membership?: Omit<Membership, 'userId'>): Promise<boolean> {
    const row = {
      id: user.id,
      issuer: user.issuer,
      subject: user.subject,
      name: user.name ?? null,
      email: user.email ?? null,
      is_active: user.isActive,
      password_hash: passwordHash ?? null,
      created_at: user.createdAt,
    };
    return runQuery(() =>
      this.#database.kysely.transaction().execute(async (transaction) => {
        if (membership !== undefined) {
          const tenant = await transaction
            .selectFrom('mcp_tenant')
            .select('id')
            .where('id', '=', membership.tenantId)
            .executeTakeFirst();
          if (tenant === undefined) return false;
        }
        const inserted = await transaction
          .insertInto('mcp_user')
          .values(row)
          .onConflict((conflict) => conflict.doNothing())
          .returning('id')
          .executeTakeFirst();
        if (inserted === undefined) return false;
        if (membership !== undefined) {
          const { tenantId } = membership;
          await transaction
            .insertInto('mcp_membership')
            .values({ user_id: user.id, tenant_id: tenantId, ...toValues(membership) })
            .execute();
        }
        return true;
      }),
    );
  }

  async findById(id: string): Promise<User | undefined> {
    const row = await runQuery(() =>
      this.#database.kysely.selectFrom('mcp_user').selectAll().where('id', '=', id).executeTakeFirst(),
    );
    return row && toUser(row);
  }

  async findByIdentity(issuer: string, subject: string): Promise<User | undefined> {
    const row = await runQuery(() =>
      this.#database.kysely
        .selectFrom('mcp_user')
        .selectAll()
        .where('issuer', '=', issuer)
        .where('subject', '=', subject)
        .executeTakeFirst(),
    );
    return row && toUser(row);
  }

  async list(limit: number, after?: PagePosition): Promise<readonly User[]> {
    let query = this.#database.kysely.selectFrom('mcp_user').selectAll();
    if (after !== undefined) query = query.where(isAfter(after));
    const rows = await runQuery(() => query.orderBy('created_at').orderBy('id').limit(limit).execute());
    return rows.map(toUser);
  }

  async update(id: string, change: UserChange): Promise<User | undefined> {
    const columns = {
      ...('name' in change && { name: change.name ?? null }),
      ...('email' in change && { email: change.email ?? null }),
      ...(change.isActive !== undefined && { is_active: change.isActive }),
    };
    // A statement that sets nothing is not one.
    if (Object.keys(columns).length === 0) return this.findById(id);
    const row = await runQuery(() =>
      this.#database.kysely
        .updateTable('mcp_user')
        .set(columns)
        .where('id', '=', id)
        .returningAll()
        .executeTakeFirst(),
    );
    return row && toUser(row);
  }

  async loadPasswordHash(userId: string): Promise<string | undefined> {
    const row = await runQuery(() =>
      this.#database.kysely
        .selectFrom('mcp_user')
        .select('password_hash')
        .where('id', '=', userId)
        .executeTakeFirst(),
    );
    return row?.password_hash ?? undefined;
  }

  async setPasswordHash(userId: string, passwordHash: string): Promise<boolean> {
    const updated = await runQuery(() =>
      this.#database.kysely
        .updateTable('mcp_user')
        .set({ password_hash: passwordHash })
        .where('id', '=', userId)
        .returning('id')
        .executeTakeFirst(),
    );
    return updated !== undefined;
  }

  async listMemberships(userId: string): Promise<readonly Membership[]> {
    const rows = await runQuery(() =>
      this.#database.kysely
        .selectFrom('mcp_membership')
        .selectAll()
        .where('user_id', '=', userId)
        .orderBy('created_at')
        .orderBy('tenant_id')
        .execute(),
    );
    return rows.map(toMembership);
  }

  setMembership(membership: Membership): Promise<boolean> {
    const { userId, tenantId } = membership;
    const values = toValues(membership);
    return runQuery(() =>
      this.#database.kysely.transaction().execute(async (transaction) => {
        const both = await transaction
          .selectFrom(['mcp_user', 'mcp_tenant'])
          .select('mcp_user.id')
          .where('mcp_user.id', '=', userId)
          .where('mcp_tenant.id', '=', tenantId)
          .executeTakeFirst();
        if (both === undefined) return false;
        await transaction
          .insertInto('mcp_membership')
          .values({ user_id: userId, tenant_id: tenantId, ...values })
          .onConflict((conflict) => conflict.columns(['user_id', 'tenant_id']).doUpdateSet(values))
          .execute();
        return true;
      }),
    );
  }

  async removeMembership(userId: string, tenantId: string): Promise<boolean> {
    const removed = await runQuery(() =>
      this.#database.kysely
        .deleteFrom('mcp_membership')
        .where('user_id', '=', userId)
        .where('tenant_id', '=', tenantId)
        .returning('user_id')
        .executeTakeFirst(),
    );
    return removed !== undefined;
  }
}

function toValues(
  membership: Omit<Membership, 'userId' | 'tenantId'>,
): Omit<Insertable<MembershipRow>, 'user_id' | 'tenant_id'> {
  return {
    role: membership.role,
    scopes: JSON.stringify(membership.scopes),
    is_active: membership.isActive,
    created_at: membership.createdAt,
  };
}

function toUser(row: Selectable<UserRow>): User {
  return {
    id: row.id,
    issuer: row.issuer,
    subject: row.subject,
    isActive: Boolean(row.is_active),
    createdAt: row.created_at,
    ...(row.name !== null && { name: row.name }),
    ...(row.email !== null && { email: row.email }),
  };
}

function toMembership(row: Selectable<MembershipRow>): Membership {
  return {
    userId: row.user_id,
    tenantId: row.tenant_id,
    role: row.role,
    // Written by `toValues`, from a list of strings.
    scopes: JSON.parse(row.scopes) as string[],
    isActive: Boolean(row.is_active),
    createdAt: row.created_at,
  };
}
