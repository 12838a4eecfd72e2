import type { TrustedIssuer } from './trusted-issuers.ts';

/** What every setting says of itself, whatever its kind. */
interface SettingBase {
  /** The environment variable. The name in `mooring.config` is the table's own key. */
  readonly variable: string;
  /** For `--help` and the reference page: what it does, in one or two sentences. */
  readonly sentence: string;
  /** Told in place of the default when there is none, e.g. `derived from HOST and PORT`. */
  readonly whenAbsent?: string;
  /** True: may also be given as a file named by `<VARIABLE>_FILE`, never prints, and is not in `Config`. */
  readonly secret?: true;
}

/** A whole number with its unit and limits, both inclusive. */
export interface IntegerSetting extends SettingBase {
  readonly kind: 'integer';
  readonly unit?: 'bytes' | 'milliseconds' | 'seconds';
  readonly min: number;
  readonly max: number;
  readonly default: number;
}

/** `true` or `false`. */
export interface BooleanSetting extends SettingBase {
  readonly kind: 'boolean';
  readonly default: boolean;
}

/** One of a few words. */
export interface ChoiceSetting extends SettingBase {
  readonly kind: 'choice';
  readonly choices: readonly string[];
  /** Words that are accepted and read as one of the choices. */
  readonly synonyms?: Readonly<Record<string, string>>;
  readonly default: string;
}

/** Free text of one line, within a pattern. */
export interface TextSetting extends SettingBase {
  readonly kind: 'text';
  /** The whole value must match it. */
  readonly pattern: string;
  /** The pattern in words, as in `expected ...`. */
  readonly expected: string;
  readonly default: string;
}

/** An absolute URL. */
export interface UrlSetting extends SettingBase {
  readonly kind: 'url';
  /** With the colon, e.g. `https:`. */
  readonly protocols: readonly string[];
  /** True: neither credentials, query nor fragment. A trailing slash is dropped. */
  readonly isBase?: true;
}

/** Where Redis is, as `parseRedisUrl` reads it. */
export interface RedisUrlSetting extends SettingBase {
  readonly kind: 'redis-url';
}

/** Several values: separated by commas in the environment, an array in `mooring.config`. */
export interface ListSetting extends SettingBase {
  readonly kind: 'list';
  /**
   * `host`: `name` or `name:port`. `origin`: `scheme://name`, `scheme://name:port`, or `:*` for any port.
   * `address-range`: an IP address, or a range of them as in `10.0.0.0/8`.
   */
  readonly item: 'host' | 'origin' | 'address-range' | 'encryption-key';
}

/** Trusted issuers: JSON text in the environment, an array in `mooring.config`. */
export interface IssuersSetting extends SettingBase {
  readonly kind: 'issuers';
}

/** One setting: everything that validation, `--help` and the reference page need to know of it. */
export type Setting =
  | IntegerSetting
  | BooleanSetting
  | ChoiceSetting
  | TextSetting
  | UrlSetting
  | RedisUrlSetting
  | ListSetting
  | IssuersSetting;

/** The parsed type of one row. */
export type SettingValue<Row> = Row extends { readonly kind: 'integer' }
  ? number
  : Row extends { readonly kind: 'boolean' }
    ? boolean
    : Row extends { readonly kind: 'choice'; readonly choices: readonly (infer Choice)[] }
      ? Choice
      : Row extends { readonly kind: 'list' }
        ? readonly string[]
        : Row extends { readonly kind: 'issuers' }
          ? readonly TrustedIssuer[]
          : Row extends { readonly kind: 'url' | 'redis-url' }
            ? string | undefined
            : string;
