export { ConfigError, ProtocolError, RequestError, UpstreamError } from './errors.ts';
export type { Principal, Role } from './auth/principal.ts';
export { definePrompt, defineResource, defineResourceTemplate, defineServer, defineTool } from './mcp/server-definition.ts';
export { ToolError, ToolResult } from './mcp/tool-result.ts';
export type { HandlerContext } from './mcp/handler-context.ts';
export type { ContentBlock, PromptMessage, Resource } from './mcp/protocol-types.ts';
export type {
  AnyPrompt,
  AnyTool,
  CompletionContext,
  PromptReturn,
  ResourcePage,
  ResourceTemplateDefinition,
  ServerDefinition,
  ToolDefinition,
} from './mcp/server-definition.ts';
