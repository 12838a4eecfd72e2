import type { TenantStore } from '../auth/tenant-store.ts';
import { CommandFailure } from './command-failure.ts';

/**
 * The id of the tenant that a person means.
 *
 * @param wanted an id or a name; default: the only tenant there is
 * @throws CommandFailure when there is none, or it is not clear which
 */
export async function findTenantId(tenants: TenantStore, wanted: string | undefined): Promise<string> {
  if (wanted === undefined) {
    const [only, second] = await tenants.list(2);
    if (only === undefined)
      throw new CommandFailure('There is no tenant yet. Make one: mooring tenants create --name <name>');
    if (second !== undefined)
      throw new CommandFailure('There are several tenants. Say which: --tenant <id or name>');
    return only.id;
  }
  const byId = await tenants.findById(wanted);
  if (byId !== undefined) return byId.id;
  const [byName, second] = await tenants.findByName(wanted, 2);
  if (byName === undefined)
    throw new CommandFailure(`There is no tenant ${JSON.stringify(wanted)}. See: mooring tenants list`);
  if (second !== undefined) {
    throw new CommandFailure(
      `Several tenants are named ${JSON.stringify(wanted)}. Give the id: mooring tenants list`,
    );
  }
  return byName.id;
}
