/** Hosting a server that is written with the official SDK. Importing this loads `@modelcontextprotocol/server`. */
export { createSdkTarget, type SdkLogger, type SdkTargetOptions } from './create-sdk-target.ts';
export { isSdkServer } from './is-sdk-server.ts';
export type { McpServerFactory } from '@modelcontextprotocol/server';
