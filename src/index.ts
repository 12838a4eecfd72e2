export { ConfigError, ProtocolError, protocolErrorCodes, RequestError, UpstreamError } from './errors.ts';
export type { ConfigProblem, RequestErrorCode, RequestErrorOptions } from './errors.ts';
export { createHost } from './host.ts';
export type { Host, HostOptions, SdkServerFactory } from './host.ts';
export { loadConfig } from './config/load-config.ts';
export type { LoadConfigOptions } from './config/load-config.ts';
export type { Config, Secrets } from './config/config.ts';
export { createLogger } from './telemetry/logger.ts';
export type { LogDestination, LogFields, Logger, LoggerOptions, LogLevel } from './telemetry/logger.ts';
export type { Principal, Role } from './auth/principal.ts';
export {
  definePrompt,
  defineResource,
  defineResourceTemplate,
  defineServer,
  defineTool,
} from './mcp/server-definition.ts';
export { InputRequired } from './mcp/input-required.ts';
export { ToolError, ToolResult } from './mcp/tool-result.ts';
export type { ServerChange } from './mcp/dispatch-target.ts';
export type {
  ElicitAnswer,
  HandlerContext,
  Handles,
  QuestionOptions,
  SessionState,
} from './mcp/handler-context.ts';
export type {
  CallToolResult,
  ClientCapabilities,
  ContentBlock,
  CreateMessageParams,
  CreateMessageResult,
  ElicitFormParams,
  Icon,
  Implementation,
  LoggingLevel,
  PromptMessage,
  Resource,
  Root,
  ToolAnnotations,
} from './mcp/protocol-types.ts';
export type {
  AnyPrompt,
  AnySchema,
  AnyTool,
  CacheHint,
  Completer,
  CompletionContext,
  JsonSchema,
  PromptDefinition,
  PromptReturn,
  ResourceContent,
  ResourceDefinition,
  ResourcePage,
  ResourceReturn,
  ResourceTemplateDefinition,
  SchemaWithJson,
  ServerDefinition,
  ServerDefinitionInput,
  TemplateVariables,
  ToolDefinition,
  ToolReturn,
} from './mcp/server-definition.ts';
