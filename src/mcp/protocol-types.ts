/**
 * The specification's shapes, taken from the SDK's core schemas so that they are never written twice.
 * Types only: nothing here exists at run time.
 */
import type { StandardSchemaV1 } from '@standard-schema/spec';
import type * as core from '@modelcontextprotocol/core';

type Of<Schema extends StandardSchemaV1> = StandardSchemaV1.InferOutput<Schema>;

export type Annotations = Of<typeof core.AnnotationsSchema>;
export type CallToolResult = Of<typeof core.CallToolResultSchema>;
export type ClientCapabilities = Of<typeof core.ClientCapabilitiesSchema>;
export type ContentBlock = Of<typeof core.ContentBlockSchema>;
export type CreateMessageParams = Of<typeof core.CreateMessageRequestParamsSchema>;
export type CreateMessageResult = Of<typeof core.CreateMessageResultWithToolsSchema>;
export type ElicitFormParams = Of<typeof core.ElicitRequestFormParamsSchema>;
export type Icon = Of<typeof core.IconSchema>;
export type Implementation = Of<typeof core.ImplementationSchema>;
export type LoggingLevel = Of<typeof core.LoggingLevelSchema>;
export type PromptMessage = Of<typeof core.PromptMessageSchema>;
export type Resource = Of<typeof core.ResourceSchema>;
export type Root = Of<typeof core.RootSchema>;
export type ServerCapabilities = Of<typeof core.ServerCapabilitiesSchema>;
export type ToolAnnotations = Of<typeof core.ToolAnnotationsSchema>;

/** @see MCP 2026-07-28, Base Protocol, Requests: string or integer, never null */
export type JsonRpcId = string | number;

/** A request as parsed from the wire. */
export interface JsonRpcRequest {
  readonly jsonrpc: '2.0';
  readonly id: JsonRpcId;
  readonly method: string;
  readonly params?: Readonly<Record<string, unknown>>;
}

/** A notification as parsed from the wire, or about to be written to it. */
export interface JsonRpcNotification {
  readonly jsonrpc: '2.0';
  readonly method: string;
  readonly params?: Readonly<Record<string, unknown>>;
}

/** A response as parsed from the wire: a client's answer to one of our requests. */
export interface JsonRpcResponse {
  readonly jsonrpc: '2.0';
  readonly id: JsonRpcId;
  readonly result?: Readonly<Record<string, unknown>>;
  readonly error?: { readonly code: number; readonly message: string; readonly data?: unknown };
}

/** Anything a peer may send. */
export type JsonRpcMessage = JsonRpcRequest | JsonRpcNotification | JsonRpcResponse;
