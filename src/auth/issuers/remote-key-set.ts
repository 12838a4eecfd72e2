import {
  createLocalJWKSet,
  errors,
  type CryptoKey,
  type FlattenedJWSInput,
  type JSONWebKeySet,
  type JWSHeaderParameters,
} from 'jose';
import { UpstreamError } from '../../errors.ts';
import { type FetchedJson, fetchJson } from './fetch-json.ts';
import type { KeySet } from './key-set.ts';

const defaultMaxAgeMs = 10 * 60_000;
const minMaxAgeMs = 60_000;
const longestMaxAgeMs = 3_600_000;
const refreshAt = 0.8;
/** How long the last good set serves while the issuer cannot be reached. */
const maxStaleMs = 24 * 3_600_000;
/** A token with a key that is not in the set may cause a fetch this often. */
const unknownKeyCooldownMs = 5000;
const firstRetryMs = 1000;
const longestRetryMs = 60_000;
const maxKeys = 100;

/** Where an issuer's keys are. */
export interface RemoteKeySetOptions {
  /** Absent: the `jwks_uri` of its discovery document. */
  readonly jwksUri?: string;
  /** `iss`, which the discovery document has to repeat. */
  readonly issuer: string;
  /** Told of failures that no request reports: of fetches in the background. */
  readonly onError?: (error: unknown) => void;
  readonly fetchJson?: (url: string) => Promise<FetchedJson>;
  readonly now?: () => number;
}

interface LoadedSet {
  readonly find: (header: JWSHeaderParameters, token: FlattenedJWSInput) => Promise<CryptoKey>;
  readonly loadedAt: number;
  readonly maxAgeMs: number;
}

/**
 * An issuer's published keys: fetched once however many wait, again in the background before they are too old, and
 * for a key that is new; kept for up to 24 hours while the issuer is out of reach, which is asked ever less often.
 */
export class RemoteKeySet implements KeySet {
  readonly #options: RemoteKeySetOptions;
  readonly #fetchJson: (url: string) => Promise<FetchedJson>;
  readonly #now: () => number;
  readonly #onError: (error: unknown) => void;
  #set: LoadedSet | undefined;
  #loading: Promise<LoadedSet> | undefined;
  #failures = 0;
  #retryAt = 0;
  #askedForUnknownAt = Number.NEGATIVE_INFINITY;

  constructor(options: RemoteKeySetOptions) {
    this.#options = options;
    this.#fetchJson = options.fetchJson ?? fetchJson;
    this.#now = options.now ?? Date.now;
    this.#onError = options.onError ?? (() => undefined);
  }

  async find(header: JWSHeaderParameters, token: FlattenedJWSInput): Promise<CryptoKey> {
    const set = await this.#current();
    try {
      return await set.find(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      return (await this.#loadForUnknown(error)).find(header, token);
    }
  }

  async #current(): Promise<LoadedSet> {
    const now = this.#now();
    const set = this.#set;
    const ageMs = set === undefined ? Number.POSITIVE_INFINITY : now - set.loadedAt;
    if (set === undefined || ageMs > maxStaleMs) return this.#load();
    if (ageMs < set.maxAgeMs * refreshAt || now < this.#retryAt) return set;
    const loading = this.#load();
    if (ageMs < set.maxAgeMs) {
      loading.catch(this.#onError);
      return set;
    }
    return loading.catch((error: unknown) => {
      this.#onError(error);
      return set;
    });
  }

  /** A key may be new; tokens with keys that nobody has must not make us ask for each. */
  #loadForUnknown(unknown: unknown): Promise<LoadedSet> {
    const now = this.#now();
    // While the issuer is out of reach nobody can tell whether the key is good: that is not the caller's fault.
    if (this.#failures > 0 || this.#loading !== undefined) return this.#load();
    if (now - this.#askedForUnknownAt < unknownKeyCooldownMs) return Promise.reject(unknown as Error);
    this.#askedForUnknownAt = now;
    return this.#load();
  }

  #load(): Promise<LoadedSet> {
    if (this.#loading !== undefined) return this.#loading;
    const now = this.#now();
    if (now < this.#retryAt) {
      return Promise.reject(
        new UpstreamError('issuer', "The issuer's keys cannot be had", {
          retryAfterSeconds: Math.ceil((this.#retryAt - now) / 1000),
        }),
      );
    }
    this.#loading = this.#loadNow().finally(() => {
      this.#loading = undefined;
    });
    return this.#loading;
  }

  async #loadNow(): Promise<LoadedSet> {
    const loadedAt = this.#now();
    try {
      const { value, maxAgeMs = defaultMaxAgeMs } = await this.#fetchJson(await this.#toUrl());
      const set = {
        find: createLocalJWKSet(parseKeySet(value)),
        loadedAt,
        maxAgeMs: Math.min(Math.max(maxAgeMs, minMaxAgeMs), longestMaxAgeMs),
      };
      this.#set = set;
      this.#failures = 0;
      this.#retryAt = 0;
      return set;
    } catch (error) {
      const retryMs = Math.min(firstRetryMs * 2 ** this.#failures, longestRetryMs);
      this.#failures += 1;
      this.#retryAt = this.#now() + retryMs;
      throw new UpstreamError('issuer', "The issuer's keys cannot be had", {
        cause: error,
        retryAfterSeconds: Math.ceil(retryMs / 1000),
      });
    }
  }

  async #toUrl(): Promise<string> {
    const { jwksUri, issuer } = this.#options;
    if (jwksUri !== undefined) return jwksUri;
    const { value } = await this.#fetchJson(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`);
    const document = (value ?? {}) as { readonly issuer?: unknown; readonly jwks_uri?: unknown };
    // OpenID Connect Discovery 1.0, section 4.3: MUST be identical.
    if (document.issuer !== issuer) throw new Error('the discovery document is of another issuer');
    if (typeof document.jwks_uri !== 'string') throw new Error('the discovery document names no jwks_uri');
    return document.jwks_uri;
  }
}

function parseKeySet(value: unknown): JSONWebKeySet {
  const keys = (value as { readonly keys?: unknown } | null)?.keys;
  if (!Array.isArray(keys)) throw new Error('not a JWK set');
  if (keys.length > maxKeys) throw new Error(`more than ${maxKeys} keys`);
  return { keys: keys as JSONWebKeySet['keys'] };
}
