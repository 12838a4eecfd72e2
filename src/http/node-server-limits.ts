/** What one client may take. Times in milliseconds. */
export interface NodeServerLimits {
  /** All headers of a request together. Default 16 KiB. */
  readonly maxHeaderBytes: number;
  /** Default 100. */
  readonly maxHeaders: number;
  /** For a request's headers to arrive. Default 10 s. */
  readonly headersTimeoutMs: number;
  /** For a whole request to arrive. Default 30 s. */
  readonly requestTimeoutMs: number;
  /** For an idle connection; longer than that of the load balancer in front. Default 65 s. */
  readonly keepAliveTimeoutMs: number;
  /**
   * For connections that are idle when the server stops: a balancer may be sending a request on one. Default 1 s.
   */
  readonly stopIdleMs: number;
  /** For a client that takes nothing of a reply that is ready. Default 30 s. */
  readonly sendTimeoutMs: number;
  /** What may wait for a client that reads a stream slowly. Default 1 MiB. */
  readonly streamBufferBytes: number;
  /** Requests that wait for an earlier one of the same connection. Default 64. */
  readonly maxPipelinedRequests: number;
  /** Further connections are dropped. Default: no limit. */
  readonly maxConnections: number | undefined;
}

/** Each default. */
export const defaultNodeServerLimits: NodeServerLimits = {
  maxHeaderBytes: 16 * 1024,
  maxHeaders: 100,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  keepAliveTimeoutMs: 65_000,
  stopIdleMs: 1000,
  sendTimeoutMs: 30_000,
  streamBufferBytes: 1024 * 1024,
  maxPipelinedRequests: 64,
  maxConnections: undefined,
};
