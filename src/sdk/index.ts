/** Hosting a server that is written with the official SDK. Importing this loads `@modelcontextprotocol/server`. */
export { createSdkTarget } from './create-sdk-target.ts';
export type { SdkTargetOptions } from './create-sdk-target.ts';
export { isSdkFactory, isSdkServer } from './is-sdk-server.ts';
