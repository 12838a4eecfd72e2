import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toTenantFolderName } from './tenant-folder-name.ts';

const tenantId = fc.oneof(
  fc.string({ unit: 'binary', minLength: 1 }),
  fc.string({
    unit: fc.constantFrom('.', '/', '\\', '%', 'a', 'A', '2', 'e', ':'),
    minLength: 1,
    maxLength: 300,
  }),
);

describe('The folder name of a tenant', () => {
  it('is a plain id itself', () => {
    expect(toTenantFolderName('tenant_7f-a')).toBe('tenant_7f-a');
    expect(toTenantFolderName('..')).toBe('%2e%2e');
  });

  it('is one safe path segment, in lower case and of bounded length', () => {
    fc.assert(
      fc.property(tenantId, (id) => {
        expect(toTenantFolderName(id)).toMatch(/^[a-z0-9_%-]{1,120}$/);
      }),
    );
  });

  it('is never shared by two tenants', () => {
    fc.assert(
      fc.property(tenantId, tenantId, (one, other) => {
        fc.pre(one !== other);
        expect(toTenantFolderName(one)).not.toBe(toTenantFolderName(other));
      }),
    );
    const long = 'x'.repeat(200);
    expect(toTenantFolderName(toTenantFolderName(long))).not.toBe(toTenantFolderName(long));
  });

  it('is refused to ids that could be mixed up', () => {
    expect(() => toTenantFolderName('')).toThrow(TypeError);
    expect(() => toTenantFolderName('a\ud800')).toThrow(TypeError);
  });
});
