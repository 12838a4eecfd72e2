/** What a caller needs: to read, and to add, change and delete. `notes` implies both. */
export const noteScopes = { read: 'notes:read', write: 'notes:write' } as const;
