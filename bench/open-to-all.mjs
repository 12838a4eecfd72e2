// Loaded before a server that is to be measured without authentication: everybody is let in as the same caller, unasked.
import { CredentialAuthenticator } from '../dist/auth/credential-authenticator.js';

const principal = Object.freeze({
  kind: 'key',
  subject: 'bench',
  credentialId: 'bench',
  tenantIds: Object.freeze(['bench']),
  activeTenantId: 'bench',
  role: 'merchant',
  scopes: Object.freeze(['*']),
});

CredentialAuthenticator.prototype.authenticate = () => principal;
