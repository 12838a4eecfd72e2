/**
 * Every setting, one row each, in the order that help and the reference page show them. The key is the name in
 * `mooring.config`; its group is where `Config` holds it.
 */
export const settings = {
  server: {
    transport: {
      kind: 'choice',
      variable: 'MCP_TRANSPORT',
      choices: ['http', 'stdio'],
      synonyms: { httpStream: 'http' },
      default: 'http',
      sentence:
        'How clients connect: over the network, or as a child process of one client. `httpStream` means `http`.',
    },
    host: {
      kind: 'text',
      variable: 'HOST',
      pattern: '[A-Za-z0-9._:%\\[\\]-]{1,255}',
      expected: 'an IP address or a host name',
      default: '127.0.0.1',
      sentence:
        'The address to listen on. `0.0.0.0` listens on every network of this machine and needs PUBLIC_URL.',
    },
    port: {
      kind: 'integer',
      variable: 'PORT',
      min: 0,
      max: 65_535,
      default: 8080,
      sentence: 'The port to listen on; 0 takes any free one.',
    },
    publicUrl: {
      kind: 'url',
      variable: 'PUBLIC_URL',
      protocols: ['http:', 'https:'],
      isBase: true,
      whenAbsent: 'derived from HOST and PORT',
      sentence:
        'Where clients reach this server, e.g. https://mcp.example.com; the MCP endpoint is `/mcp` below it.',
    },
    instances: {
      kind: 'integer',
      variable: 'INSTANCES',
      min: 1,
      max: 10_000,
      default: 1,
      sentence: 'How many instances of this server run side by side. More than one need REDIS_URL.',
    },
    shutdownDelayMs: {
      kind: 'integer',
      variable: 'SHUTDOWN_DELAY_MS',
      unit: 'milliseconds',
      min: 0,
      max: 120_000,
      default: 0,
      sentence:
        'How long to go on serving, with `/ready` answering 503, once the process was asked to stop: what a load balancer takes to notice.',
    },
    shutdownGraceMs: {
      kind: 'integer',
      variable: 'SHUTDOWN_GRACE_MS',
      unit: 'milliseconds',
      min: 0,
      max: 600_000,
      default: 10_000,
      sentence: 'How long requests in flight may take to finish once the process was asked to stop.',
    },
  },
  storage: {
    dataDir: {
      kind: 'text',
      variable: 'DATA_DIR',
      pattern: '[^\\0]{1,4096}',
      expected: 'a folder',
      default: '.mooring',
      sentence: 'The folder of everything that is kept on this machine. Relative to the working directory.',
    },
    databaseUrl: {
      kind: 'url',
      variable: 'DATABASE_URL',
      protocols: ['postgres:', 'postgresql:'],
      secret: true,
      whenAbsent: 'an SQLite file in DATA_DIR',
      sentence: 'PostgreSQL, for tenants and API keys: postgres://user:password@host:5432/database.',
    },
    redisUrl: {
      kind: 'redis-url',
      variable: 'REDIS_URL',
      secret: true,
      whenAbsent: 'sessions and streams live in this process',
      sentence:
        'Redis 7.0 or later, for sessions and streams that any instance serves and that survive restarts: a server, one behind Sentinels, or a Cluster. See docs/operations/redis.md.',
    },
  },
  credentials: {
    environment: {
      kind: 'text',
      variable: 'NODE_ENV',
      pattern: '[A-Za-z0-9._-]{1,64}',
      expected: 'a word such as `production`',
      default: 'development',
      sentence: '`production` requires ENCRYPTION_KEY when serving over HTTP.',
    },
    encryptionKeys: {
      kind: 'list',
      variable: 'ENCRYPTION_KEY',
      item: 'encryption-key',
      secret: true,
      whenAbsent: 'a random key that ends with the process; required in production',
      sentence:
        'Encrypts what a client is given to keep between requests, and what rests in Redis: 64 hexadecimal digits. Several, separated by commas, to change it: the first encrypts, all of them open.',
    },
    keyPrefix: {
      kind: 'text',
      variable: 'KEY_PREFIX',
      pattern: '[a-z][a-z0-9]{0,15}',
      expected: 'up to 16 lower-case letters and digits, a letter first',
      default: 'mooring',
      sentence: 'What new API keys start with: `<prefix>_mcp_...`. Keys with another prefix keep working.',
    },
  },
  signIn: {
    auth: {
      kind: 'choice',
      variable: 'AUTH',
      choices: ['keys', 'oauth'],
      default: 'keys',
      sentence:
        'How clients get in: with API keys alone, or also through the authorization server that this host then is. Tokens of TRUSTED_ISSUERS are taken in both cases.',
    },
    accessTokenTtlSeconds: {
      kind: 'integer',
      variable: 'ACCESS_TOKEN_TTL_SECONDS',
      unit: 'seconds',
      min: 10,
      max: 86_400,
      default: 3600,
      sentence: 'How long an access token of the authorization server is good for. It can be revoked before.',
    },
    refreshTokenTtlSeconds: {
      kind: 'integer',
      variable: 'REFRESH_TOKEN_TTL_SECONDS',
      unit: 'seconds',
      min: 3600,
      max: 31_536_000,
      default: 2_592_000,
      sentence: 'How long a client that does nothing can still get a new access token without its user.',
    },
    signInTtlSeconds: {
      kind: 'integer',
      variable: 'SIGN_IN_TTL_SECONDS',
      unit: 'seconds',
      min: 300,
      max: 7_776_000,
      default: 1_209_600,
      sentence: 'How long a browser stays signed in at the authorization server.',
    },
    mcpTokenTtlSeconds: {
      kind: 'integer',
      variable: 'MCP_TOKEN_TTL_SECONDS',
      unit: 'seconds',
      min: 10,
      max: 86_400,
      default: 3600,
      sentence:
        'How long an access token is good for that `/mcp/token` gave for an ID token. It can be refreshed for 7 days more, and revoked before.',
    },
    mcpTokenMaxAgeSeconds: {
      kind: 'integer',
      variable: 'MCP_TOKEN_MAX_AGE_SECONDS',
      unit: 'seconds',
      min: 300,
      max: 7_776_000,
      default: 2_592_000,
      sentence:
        'How long after a user signed in the tokens of `/mcp/token` can be refreshed at all: then an ID token of a new sign-in is needed.',
    },
  },
  tokens: {
    trustedIssuers: {
      kind: 'issuers',
      variable: 'TRUSTED_ISSUERS',
      whenAbsent: 'none',
      sentence:
        'Identity providers whose access tokens, or ID tokens, are taken: a JSON array of records; see the guide on sign-in. One without an audience is refused.',
    },
    revocationMaxStalenessMs: {
      kind: 'integer',
      variable: 'REVOCATION_MAX_STALENESS_MS',
      unit: 'milliseconds',
      min: 10,
      max: 60_000,
      default: 1000,
      sentence:
        'How old what an instance knows of revocations may be when it lets a token in. Without a fault it hears of them much sooner.',
    },
    revocationStrict: {
      kind: 'boolean',
      variable: 'REVOCATION_STRICT',
      default: false,
      sentence: 'Looks into the database for revocations before each request that comes with a token.',
    },
    revocationWhenUnknown: {
      kind: 'choice',
      variable: 'REVOCATION_WHEN_UNKNOWN',
      choices: ['refuse', 'accept'],
      default: 'refuse',
      sentence:
        'What to do with tokens once the database could not be asked for revocations for 10 s: answer 503, or, which weakens safety, let them in.',
    },
  },
  edge: {
    allowedHosts: {
      kind: 'list',
      variable: 'ALLOWED_HOSTS',
      item: 'host',
      whenAbsent: "the host of PUBLIC_URL, HOST's own, and this machine's loopback names",
      sentence:
        'Further values to accept in the Host header, each `name` (any port) or `name:port`. Any other is refused, against DNS rebinding.',
    },
    allowedOrigins: {
      kind: 'list',
      variable: 'ALLOWED_ORIGINS',
      item: 'origin',
      whenAbsent:
        "the origin of PUBLIC_URL, and when listening on loopback any port of this machine's loopback names",
      sentence:
        'Further browser origins to accept, each `https://name`, `https://name:port`, or with `:*` for any port. Requests without an Origin header are not concerned.',
    },
    allowAnyOrigin: {
      kind: 'boolean',
      variable: 'ALLOW_ANY_ORIGIN',
      default: false,
      sentence: 'Weakens safety: accepts requests from every web page. Credentials are still required.',
    },
    trustedProxies: {
      kind: 'list',
      variable: 'TRUSTED_PROXIES',
      item: 'address-range',
      whenAbsent: 'none: who connects is the client',
      sentence:
        'Addresses of the proxies in front, or ranges of them, e.g. `10.0.0.0/8`. What they say in X-Forwarded-For or Forwarded of where a request comes from is believed; what anybody else says is not.',
    },
    maxBodyBytes: {
      kind: 'integer',
      variable: 'MAX_BODY_BYTES',
      unit: 'bytes',
      min: 1024,
      max: 268_435_456,
      default: 4_194_304,
      sentence: 'The largest request body; a larger one is answered 413.',
    },
    maxHeaderBytes: {
      kind: 'integer',
      variable: 'MAX_HEADER_BYTES',
      unit: 'bytes',
      min: 1024,
      max: 1_048_576,
      default: 16_384,
      sentence: 'The most that all headers of a request may take; more is answered 431.',
    },
    headersTimeoutMs: {
      kind: 'integer',
      variable: 'HEADERS_TIMEOUT_MS',
      unit: 'milliseconds',
      min: 100,
      max: 600_000,
      default: 10_000,
      sentence: 'How long a client may take to send the headers of a request.',
    },
    requestTimeoutMs: {
      kind: 'integer',
      variable: 'REQUEST_TIMEOUT_MS',
      unit: 'milliseconds',
      min: 100,
      max: 3_600_000,
      default: 30_000,
      sentence:
        'How long a client may take to send a whole request, headers included; a slower one is answered 408.',
    },
    keepAliveTimeoutMs: {
      kind: 'integer',
      variable: 'KEEP_ALIVE_TIMEOUT_MS',
      unit: 'milliseconds',
      min: 0,
      max: 3_600_000,
      default: 65_000,
      sentence:
        'How long an idle connection is kept. Longer than the idle time of a load balancer in front (often 60 s), or it meets connections that just closed.',
    },
  },
  sessions: {
    sessionIdleTtlSeconds: {
      kind: 'integer',
      variable: 'SESSION_IDLE_TTL_SECONDS',
      unit: 'seconds',
      min: 1,
      max: 2_592_000,
      default: 86_400,
      sentence:
        'How long an unused session is kept. A day: an idle session costs little, and an agent that waits overnight for a person goes on in the morning.',
    },
    sessionMaxTtlSeconds: {
      kind: 'integer',
      variable: 'SESSION_MAX_TTL_SECONDS',
      unit: 'seconds',
      min: 1,
      max: 31_536_000,
      default: 604_800,
      sentence: 'How long a session lives at most, however busy it is.',
    },
    maxSessionsPerPrincipal: {
      kind: 'integer',
      variable: 'MAX_SESSIONS_PER_PRINCIPAL',
      min: 1,
      max: 1_000_000,
      default: 1000,
      sentence: 'How many sessions one principal may have; past it the longest-idle one is ended.',
    },
  },
  streams: {
    streamBufferBytes: {
      kind: 'integer',
      variable: 'STREAM_BUFFER_BYTES',
      unit: 'bytes',
      min: 16_384,
      max: 268_435_456,
      default: 1_048_576,
      sentence:
        'How much may wait for a client that reads slowly; past it the client is cut off and may resume.',
    },
    maxStreamsPerPrincipal: {
      kind: 'integer',
      variable: 'MAX_STREAMS_PER_PRINCIPAL',
      min: 1,
      max: 100_000,
      default: 100,
      sentence: 'How many open streams one principal may have on one instance.',
    },
    sseAfterMs: {
      kind: 'integer',
      variable: 'SSE_AFTER_MS',
      unit: 'milliseconds',
      min: 0,
      max: 600_000,
      default: 500,
      sentence: 'A call that still runs after this long is answered as a stream.',
    },
    sseKeepAliveMs: {
      kind: 'integer',
      variable: 'SSE_KEEP_ALIVE_MS',
      unit: 'milliseconds',
      min: 100,
      max: 600_000,
      default: 15_000,
      sentence: 'How often a silent stream carries a comment, so that nothing in between takes it for dead.',
    },
    sseRetryMs: {
      kind: 'integer',
      variable: 'SSE_RETRY_MS',
      unit: 'milliseconds',
      min: 0,
      max: 600_000,
      default: 1000,
      sentence: 'How long a client is told to wait before it opens a stream again.',
    },
    eventLogMaxEvents: {
      kind: 'integer',
      variable: 'EVENT_LOG_MAX_EVENTS',
      min: 1,
      max: 1_000_000,
      default: 1000,
      sentence: 'How many messages of one stream are kept for a client that comes back; the oldest go first.',
    },
  },
  calls: {
    callTimeoutMs: {
      kind: 'integer',
      variable: 'CALL_TIMEOUT_MS',
      unit: 'milliseconds',
      min: 0,
      max: 86_400_000,
      default: 300_000,
      sentence: 'How long a handler may run before its call is cancelled; 0 for no limit.',
    },
    questionTimeoutMs: {
      kind: 'integer',
      variable: 'QUESTION_TIMEOUT_MS',
      unit: 'milliseconds',
      min: 100,
      max: 86_400_000,
      default: 300_000,
      sentence:
        'How long a handler waits for the client to answer a question (2025 revisions; later ones do not wait).',
    },
    requestStateTtlSeconds: {
      kind: 'integer',
      variable: 'REQUEST_STATE_TTL_SECONDS',
      unit: 'seconds',
      min: 1,
      max: 86_400,
      default: 600,
      sentence: 'How long a client may take to come back with the answers to a question (2026-07-28).',
    },
  },
  log: {
    logLevel: {
      kind: 'choice',
      variable: 'LOG_LEVEL',
      choices: ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
      default: 'info',
      sentence:
        'The least severe level to log. Logs go to stderr, one JSON object a line. `debug` also prints stack traces of the command line.',
    },
  },
} as const;
