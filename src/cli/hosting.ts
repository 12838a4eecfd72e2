import type { Config, Secrets } from '../config/config.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { HostedModule } from './load-server-module.ts';

/** What the command line asks of a running host. */
export interface Host {
  /** Present when this start created the first tenant and its key. */
  readonly firstRun: { readonly tenant: { readonly name: string }; readonly secret: string } | undefined;
  /** Starts to serve over HTTP. @returns the MCP endpoint */
  listen(): Promise<{ readonly url: string }>;
  /** Serves one client over standard input and output; resolves when the client is gone. */
  serveStdio(): Promise<void>;
  /** Finishes what is in flight and releases everything. Idempotent. */
  close(): Promise<void>;
}

/** Makes a host of one server. */
export type CreateHost = (options: {
  readonly server: HostedModule['server'];
  readonly config: Config;
  readonly secrets: Secrets;
  readonly logger: Logger;
}) => Promise<Host>;
