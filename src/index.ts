export { ConfigError, ProtocolError, RequestError, UpstreamError } from './errors.ts';
export type { Principal, Role } from './auth/principal.ts';
export { definePrompt, defineResource, defineResourceTemplate, defineServer, defineTool } from './mcp/server-definition.ts';
export { ToolError, ToolResult } from './mcp/tool-result.ts';
