/**
 * Schemas, compiled once per definition: what goes into lists as JSON Schema, and a function that checks a value.
 *
 * Plain JSON Schema is checked by Ajv: 2020-12, or draft-07 where `$schema` says so. A `$ref` to another document is
 * never fetched; such a schema does not compile. MCP 2026-07-28, Base Protocol, JSON Schema Usage.
 */
import type { StandardSchemaV1 } from '@standard-schema/spec';
import { Ajv, type ErrorObject, type Options, type ValidateFunction } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormatsModule from 'ajv-formats';
import { isRecord } from './json-rpc.ts';
import type { AnySchema, JsonSchema, SchemaWithJson } from './server-definition.ts';

/**
 * A checked value, or what is wrong with it in words for the caller. `cause` is present when the schema itself threw:
 * validators of some libraries do so on values that were made for it, and an author's own may be broken.
 */
export type ParseOutcome =
  | { readonly isValid: true; readonly value: unknown }
  | { readonly isValid: false; readonly problem: string; readonly cause?: unknown };

/** A schema, ready to be listed and used. */
export interface CompiledSchema {
  readonly json: JsonSchema;
  /** Answers without a promise unless the schema itself is asynchronous. */
  parse(value: unknown): ParseOutcome | Promise<ParseOutcome>;
}

/** Most problems told of one value. */
const maxProblemsTold = 10;

const draft2020 = 'https://json-schema.org/draft/2020-12/schema';
const draft07 = 'http://json-schema.org/draft-07/schema';
const draft07Spellings = /^https?:\/\/json-schema\.org\/draft-07\/schema#?$/;

type Dialect = typeof draft2020 | typeof draft07;

// `allErrors` stays off: with it a hostile value makes work without bound. Ajv would tell unknown formats on the
// console; JSON Schema lets them be.
const ajvOptions: Options = { strict: false, allErrors: false, validateFormats: true, logger: false };
// ajv-formats is CommonJS: its callable default is one level down under Node's ESM rules.
const addFormats = addFormatsModule as unknown as typeof addFormatsModule.default;

/**
 * @param label names the schema in errors, e.g. `tool "add": input`
 * @param direction which side of a transforming schema is listed
 * @throws TypeError when it does not describe an object, cannot be told as JSON Schema, or does not compile
 */
export function compileSchema(
  schema: AnySchema,
  label: string,
  direction: 'input' | 'output' = 'input',
): CompiledSchema {
  const compiled = isStandardSchema(schema)
    ? compileStandardSchema(schema, label, direction)
    : compileJsonSchema(schema, label);
  return compiled;
}

/** @throws TypeError unless the schema's top level is an object. */
export function requireObjectSchema(schema: CompiledSchema, label: string): CompiledSchema {
  if (schema.json['type'] !== 'object')
    throw new TypeError(`${label}: the schema must describe an object (type: "object")`);
  return schema;
}

/** The schema of something without fields. */
export const emptyObjectSchema: JsonSchema = { type: 'object', properties: {} };

function isStandardSchema(schema: AnySchema): schema is SchemaWithJson {
  return '~standard' in schema;
}

function compileStandardSchema(
  schema: SchemaWithJson,
  label: string,
  direction: 'input' | 'output',
): CompiledSchema {
  const standard = schema['~standard'];
  if (typeof standard.jsonSchema?.[direction] !== 'function') {
    throw new TypeError(
      `${label}: this ${standard.vendor} schema cannot say itself as JSON Schema (Standard JSON Schema); use zod 4.2 or later, or plain JSON Schema`,
    );
  }
  let json: JsonSchema;
  try {
    json = standard.jsonSchema[direction]({ target: 'draft-2020-12' });
  } catch (error) {
    throw new TypeError(`${label}: the schema cannot be told as JSON Schema: ${messageOf(error)}`, {
      cause: error,
    });
  }
  const toOutcome = (result: StandardSchemaV1.Result<unknown>): ParseOutcome =>
    result.issues === undefined
      ? { isValid: true, value: result.value }
      : { isValid: false, problem: tellIssues(result.issues) };
  return {
    json,
    parse: (value) => {
      try {
        const result = standard.validate(value);
        return result instanceof Promise ? result.then(toOutcome, toThrown) : toOutcome(result);
      } catch (error) {
        return toThrown(error);
      }
    },
  };
}

function toThrown(cause: unknown): ParseOutcome {
  return { isValid: false, problem: 'the value could not be checked', cause };
}

function compileJsonSchema(schema: JsonSchema, label: string): CompiledSchema {
  if (!isRecord(schema)) throw new TypeError(`${label}: expected a Standard Schema or a JSON Schema object`);
  const dialect = toDialect(schema['$schema'], label);
  const syntax = loadSyntaxValidator(dialect);
  if (syntax.validate(dialect, schema) !== true) {
    throw new TypeError(
      `${label}: the JSON Schema does not compile: ${syntax.errorsText(syntax.errors, { dataVar: 'schema' })}`,
    );
  }
  // One validator per schema: a shared one would keep every schema alive for ever. Without the dialect's own schema,
  // whose compilation takes many times as long as that of any other.
  const ajv = createValidator(dialect, { ...ajvOptions, meta: false, validateSchema: false });
  let validate: ValidateFunction;
  try {
    validate = ajv.compile(schema);
  } catch (error) {
    throw new TypeError(`${label}: the JSON Schema does not compile: ${messageOf(error)}`, { cause: error });
  }
  return {
    json: schema,
    parse: (value) =>
      validate(value)
        ? { isValid: true, value }
        : { isValid: false, problem: tellAjvErrors(validate.errors ?? []) },
  };
}

function toDialect(named: unknown, label: string): Dialect {
  if (named === undefined || named === draft2020) return draft2020;
  if (typeof named === 'string' && draft07Spellings.test(named)) return draft07;
  throw new TypeError(
    `${label}: the JSON Schema dialect ${JSON.stringify(named)} is not supported; use 2020-12 or draft-07`,
  );
}

function createValidator(dialect: Dialect, options: Options): Ajv {
  const ajv = dialect === draft2020 ? new Ajv2020(options) : new Ajv(options);
  addFormats(ajv);
  return ajv;
}

const syntaxValidators = new Map<Dialect, Ajv>();

/** Checks schemas by their dialect's own schema, and holds nothing else. */
function loadSyntaxValidator(dialect: Dialect): Ajv {
  let validator = syntaxValidators.get(dialect);
  if (validator === undefined) {
    validator = createValidator(dialect, ajvOptions);
    syntaxValidators.set(dialect, validator);
  }
  return validator;
}

function tellIssues(issues: readonly StandardSchemaV1.Issue[]): string {
  const told = issues.slice(0, maxProblemsTold).map((issue) => {
    const path = (issue.path ?? [])
      .map((part) => String(typeof part === 'object' ? part.key : part))
      .join('.');
    return path === '' ? issue.message : `${path}: ${issue.message}`;
  });
  return withRest(told, issues.length);
}

function tellAjvErrors(errors: readonly ErrorObject[]): string {
  const told = errors.slice(0, maxProblemsTold).map((error) => {
    const path = error.instancePath.slice(1).replaceAll('/', '.');
    const problem = error.message ?? error.keyword;
    return path === '' ? problem : `${path}: ${problem}`;
  });
  return withRest(told, errors.length);
}

function withRest(told: readonly string[], total: number): string {
  return total > told.length ? `${told.join('; ')}; and ${total - told.length} more` : told.join('; ');
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
