/**
 * API keys of a tenant over HTTP. Who may do what is decided by the key service; nothing here trusts the request for
 * more than which key or tenant it is about.
 */
import * as z from 'zod';
import { toApiKeyReply } from '../../auth/api-key-reply.ts';
import {
  isKeyId,
  momentSchema,
  nameSchema,
  parseFields,
  roleSchema,
  scopesSchema,
  tenantIdSchema,
} from '../../auth/key-fields.ts';
import { type KeyActor, type KeyService, maxOverlapSeconds, maxPageSize } from '../../auth/key-service.ts';
import type { Principal } from '../../auth/principal.ts';
import { RequestError } from '../../errors.ts';
import { type HttpReply, type HttpRequest, toJsonReply } from '../messages.ts';
import { parseJsonBody } from '../parse-json-body.ts';

/** The handlers by what they do; the route table says where they answer. */
export interface KeyEndpoints {
  /** `GET /mcp/keys`: one page of a tenant's keys, the caller's active tenant unless told otherwise. */
  readonly list: (request: HttpRequest) => Promise<HttpReply>;
  /** `POST /mcp/keys`: 201 with the key itself, this once. */
  readonly create: (request: HttpRequest) => Promise<HttpReply>;
  /** `PATCH /mcp/keys/{id}`: changes what the body names. */
  readonly update: (request: HttpRequest) => Promise<HttpReply>;
  /** `POST /mcp/keys/{id}/rotate`: 201 with the successor itself, this once. */
  readonly rotate: (request: HttpRequest) => Promise<HttpReply>;
  /** `DELETE /mcp/keys/{id}`: 204; the key stops at once and for good. */
  readonly revoke: (request: HttpRequest) => Promise<HttpReply>;
}

/**
 * Handlers over a key service. Each throws the service's `RequestError` and `UpstreamError`, and `request_invalid`
 * (400) or `unsupported_media_type` (415) for what cannot be read.
 */
export function createKeyEndpoints(
  keys: Pick<KeyService, 'create' | 'list' | 'update' | 'rotate' | 'revoke'>,
  now: () => number = Date.now,
): KeyEndpoints {
  return {
    list: async (request) => {
      const principal = toPrincipal(request);
      const { limit, cursor, ...tenant } = parseQuery(request.query);
      const tenantId = toTenantId(tenant, principal);
      const page = await keys.list(toActor(principal), {
        tenantId,
        ...(limit !== undefined && { limit }),
        ...(cursor !== undefined && { cursor }),
      });
      const { nextCursor } = page;
      return toReply(200, {
        keys: page.keys.map((key) => toApiKeyReply(key, now())),
        ...(nextCursor !== undefined && { nextCursor }),
      });
    },
    create: async (request) => {
      const principal = toPrincipal(request);
      const { tenantId, businessId, expiresAt, ...input } = parseJsonBody(createSchema, request);
      const { key, secret } = await keys.create(toActor(principal), {
        ...input,
        tenantId: toTenantId({ tenantId, businessId }, principal),
        ...(expiresAt !== undefined && { expiresAt }),
      });
      return toReply(201, { ...toApiKeyReply(key, now()), key: secret });
    },
    update: async (request) => {
      const principal = toPrincipal(request);
      const id = toKeyId(request);
      const { name, scopes, role, isActive, expiresAt } = parseJsonBody(updateSchema, request);
      const key = await keys.update(toActor(principal), id, {
        ...(name !== undefined && { name }),
        ...(scopes !== undefined && { scopes }),
        ...(role !== undefined && { role }),
        ...(isActive !== undefined && { isActive }),
        ...(expiresAt !== undefined && { expiresAt }),
      });
      return toReply(200, toApiKeyReply(key, now()));
    },
    rotate: async (request) => {
      const principal = toPrincipal(request);
      const id = toKeyId(request);
      const { overlapSeconds, expiresAt } = request.body === '' ? {} : parseJsonBody(rotateSchema, request);
      const { key, secret } = await keys.rotate(toActor(principal), id, {
        ...(overlapSeconds !== undefined && { overlapSeconds }),
        ...(expiresAt !== undefined && { expiresAt }),
      });
      return toReply(201, { ...toApiKeyReply(key, now()), key: secret });
    },
    revoke: async (request) => {
      await keys.revoke(toActor(toPrincipal(request)), toKeyId(request));
      return { kind: 'full', status: 204, headers: noStore, body: '' };
    },
  };
}

const noStore = { 'Cache-Control': 'no-store' };
const maxCursorLength = 256;

/** `businessId` is the point-of-sale source's word for a tenant. */
const tenantFields = { tenantId: tenantIdSchema.optional(), businessId: tenantIdSchema.optional() };

const listSchema = z.strictObject({
  ...tenantFields,
  limit: z
    .string()
    .regex(/^[1-9][0-9]{0,2}$/, `must be a whole number from 1 to ${maxPageSize}`)
    .transform(Number)
    .pipe(z.number().max(maxPageSize, `must be at most ${maxPageSize}`))
    .optional(),
  cursor: z.string().max(maxCursorLength).optional(),
});

const createSchema = z.strictObject({
  ...tenantFields,
  name: nameSchema,
  scopes: scopesSchema,
  role: roleSchema.default('merchant'),
  expiresAt: momentSchema.optional(),
});

const updateSchema = z
  .strictObject({
    name: nameSchema.optional(),
    scopes: scopesSchema.optional(),
    role: roleSchema.optional(),
    isActive: z.boolean().optional(),
    expiresAt: momentSchema.nullable().optional(),
  })
  .refine(
    (change) => Object.keys(change).length > 0,
    'must name at least one of name, scopes, role, isActive, expiresAt',
  );

const rotateSchema = z.strictObject({
  overlapSeconds: z.int().min(0).max(maxOverlapSeconds).optional(),
  expiresAt: momentSchema.optional(),
});

interface TenantChoice {
  readonly tenantId?: string | undefined;
  readonly businessId?: string | undefined;
}

function toTenantId({ tenantId, businessId }: TenantChoice, principal: Principal): string {
  if (tenantId !== undefined && businessId !== undefined && tenantId !== businessId) {
    throw new RequestError(
      'request_invalid',
      'tenantId and businessId are two names of one thing and must not differ',
    );
  }
  return tenantId ?? businessId ?? principal.activeTenantId;
}

function parseQuery(query: string): z.infer<typeof listSchema> {
  const values: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const [name, value] of new URLSearchParams(query)) {
    if (name in values) throw new RequestError('request_invalid', 'A query parameter is given twice');
    values[name] = value;
  }
  return parseFields(listSchema, { ...values }, 'The query');
}

/** What cannot be the id of a key is answered as what is none. */
function toKeyId(request: HttpRequest): string {
  const id = request.parameters['id'];
  if (id === undefined || !isKeyId(id)) throw new RequestError('not_found', 'Unknown API key');
  return id;
}

function toPrincipal({ principal }: HttpRequest): Principal {
  // The route row says `auth: 'principal'`; without one the host is put together wrongly.
  if (principal === undefined) throw new TypeError('the key endpoints need a route that authenticates');
  return principal;
}

function toActor(principal: Principal): KeyActor {
  return { kind: 'principal', principal };
}

function toReply(status: number, value: unknown): HttpReply {
  return toJsonReply(status, value, noStore);
}
