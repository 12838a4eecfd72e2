import type { SessionRecord } from '../sessions/session-store.ts';

/** Changes with what a text means; an instance that does not know the format does not know the session. */
const format = 1;

/** A record as it rests: a list, for names would be most of it. The id is what it is sealed for. */
type StoredRecord = readonly [
  format: typeof format,
  principalKey: string,
  tenantId: string,
  credentialId: string,
  protocolVersion: string,
  client: readonly [SessionRecord['clientInfo'], SessionRecord['clientCapabilities']],
  logLevel: SessionRecord['logLevel'] | null,
  subscriptions: readonly string[],
  createdAt: number,
  expiresAt: number,
];

/** The text that `parseRecord` reads. */
export function renderRecord(record: SessionRecord): string {
  const stored: StoredRecord = [
    format,
    record.principalKey,
    record.tenantId,
    record.credentialId,
    record.protocolVersion,
    [record.clientInfo, record.clientCapabilities],
    record.logLevel ?? null,
    record.subscriptions,
    record.createdAt,
    record.expiresAt,
  ];
  return JSON.stringify(stored);
}

/** @returns `undefined` for a text of another format. @param text that was sealed by us, so its shape is known */
export function parseRecord(id: string, text: string): SessionRecord | undefined {
  const stored = JSON.parse(text) as StoredRecord;
  if (stored[0] !== format) return undefined;
  const [, principalKey, tenantId, credentialId, protocolVersion, client, logLevel, subscriptions] = stored;
  return {
    id,
    principalKey,
    tenantId,
    credentialId,
    protocolVersion,
    clientInfo: client[0],
    clientCapabilities: client[1],
    subscriptions,
    createdAt: stored[8],
    expiresAt: stored[9],
    ...(logLevel === null || logLevel === undefined ? undefined : { logLevel }),
  };
}
