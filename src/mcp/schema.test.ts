import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import * as z from 'zod';
import { compileSchema, type ParseOutcome, requireObjectSchema } from './schema.ts';
import type { AnySchema, JsonSchema } from './server-definition.ts';

const draft2020 = 'https://json-schema.org/draft/2020-12/schema';
const draft07 = 'http://json-schema.org/draft-07/schema#';

function parse(schema: AnySchema, value: unknown): ParseOutcome | Promise<ParseOutcome> {
  return compileSchema(schema, 'test').parse(value);
}

function problemOf(outcome: ParseOutcome | Promise<ParseOutcome>): string {
  if (outcome instanceof Promise || outcome.isValid) throw new Error('expected a problem');
  return outcome.problem;
}

afterEach(() => {
  vi.restoreAllMocks();
});

describe('a zod schema', () => {
  it('is listed as JSON Schema and parses to its output', () => {
    const compiled = compileSchema(
      z.object({ name: z.string().trim().describe('Who'), count: z.number().default(1) }),
      'test',
    );
    expect(compiled.json).toMatchObject({
      type: 'object',
      properties: { name: { type: 'string', description: 'Who' }, count: { type: 'number', default: 1 } },
      required: ['name'],
    });
    expect(compiled.parse({ name: ' Ada ' })).toEqual({ isValid: true, value: { name: 'Ada', count: 1 } });
  });

  it('that throws on a hostile value finds it invalid, and keeps what was thrown for the log', async () => {
    // zod's length checks run on whatever has a `length`.
    const schema = z.object({ text: z.string().max(3) });
    const outcome = await parse(schema, { text: { length: { toString: null } } });
    expect(outcome.isValid).toBe(false);
    const broken = z.object({ text: z.string() }).refine(() => {
      throw new Error('the author wrote this');
    });
    expect(await parse(broken, { text: 'a' })).toMatchObject({
      isValid: false,
      problem: 'the value could not be checked',
      cause: { message: 'the author wrote this' },
    });
  });

  it('lists the side that is sent: what goes into an input, what comes out of an output', () => {
    const schema = z.object({ count: z.number().default(1) });
    expect(compileSchema(schema, 'test', 'input').json['required']).toBeUndefined();
    expect(compileSchema(schema, 'test', 'output').json['required']).toEqual(['count']);
  });

  it('answers without a promise unless it is asynchronous itself', async () => {
    expect(parse(z.object({}), {})).not.toBeInstanceOf(Promise);
    const slow = z.object({ name: z.string().refine(async (name) => name !== 'taken', 'is taken') });
    expect(await parse(slow, { name: 'free' })).toEqual({ isValid: true, value: { name: 'free' } });
    expect(await parse(slow, { name: 'taken' })).toEqual({ isValid: false, problem: 'name: is taken' });
  });

  it('names where a value is wrong, and bounds how much it says', () => {
    const problem = problemOf(
      parse(z.object({ who: z.object({ age: z.number() }) }), { who: { age: 'old' } }),
    );
    expect(problem).toMatch(/^who\.age: /);
    const many = z.object({ list: z.array(z.number()) });
    const told = problemOf(parse(many, { list: Array.from({ length: 500 }, () => 'x') }));
    expect(told).toMatch(/; and 490 more$/);
  });

  it('that cannot be told as JSON Schema is refused with its name', () => {
    expect(() => compileSchema(z.object({ when: z.date() }), 'tool "x": input')).toThrow(
      /^tool "x": input: /,
    );
  });
});

describe('a Standard Schema without JSON Schema', () => {
  it('is refused, and the author told what to use', () => {
    const schema = { '~standard': { version: 1, vendor: 'tiny', validate: (value: unknown) => ({ value }) } };
    expect(() => compileSchema(schema as unknown as AnySchema, 'test')).toThrow(/tiny .*zod 4\.2/);
  });
});

describe('a plain JSON Schema', () => {
  it('is 2020-12 unless it says otherwise', () => {
    // `prefixItems` is 2020-12, `items` as a list is draft-07: each ignores the other's word.
    const tuple2020 = { type: 'object', properties: { pair: { prefixItems: [{ type: 'string' }] } } };
    const tuple07 = { type: 'object', properties: { pair: { items: [{ type: 'string' }] } } };
    for (const schema of [
      tuple2020,
      { $schema: draft2020, ...tuple2020 },
      { $schema: draft07, ...tuple07 },
    ]) {
      expect(parse(schema, { pair: ['a'] })).toMatchObject({ isValid: true });
      expect(parse(schema, { pair: [1] })).toMatchObject({ isValid: false });
    }
    expect(parse({ $schema: draft07, ...tuple2020 }, { pair: [1] })).toMatchObject({ isValid: true });
  });

  it.each(['http://json-schema.org/draft-07/schema', 'https://json-schema.org/draft-07/schema#'])(
    'may call draft-07 %s',
    ($schema) => {
      expect(parse({ $schema, type: 'object' }, {})).toMatchObject({ isValid: true });
    },
  );

  it.each(['http://json-schema.org/draft-04/schema#', 'https://example.com/mine', 7])(
    'of another dialect is refused: %s',
    ($schema) => {
      expect(() => compileSchema({ $schema, type: 'object' }, 'test')).toThrow(/dialect .* is not supported/);
    },
  );

  it('resolves references within itself', () => {
    const schema = {
      type: 'object',
      properties: { node: { $ref: '#/$defs/node' } },
      $defs: { node: { type: 'object', properties: { next: { $ref: '#/$defs/node' } }, required: ['id'] } },
    };
    expect(parse(schema, { node: { id: 1, next: { id: 2 } } })).toMatchObject({ isValid: true });
    expect(parse(schema, { node: { id: 1, next: {} } })).toMatchObject({ isValid: false });
  });

  // MCP 2026-07-28: a server must not fetch what a schema refers to.
  it.each(['http://127.0.0.1:9/schema.json', 'https://example.com/a#/b', 'file:///etc/passwd'])(
    'that refers to %s does not compile, and nothing is fetched',
    ($ref) => {
      const fetch = vi.spyOn(globalThis, 'fetch');
      expect(() => compileSchema({ type: 'object', properties: { a: { $ref } } }, 'test')).toThrow(
        /does not compile/,
      );
      expect(fetch).not.toHaveBeenCalled();
    },
  );

  it('compiles without its dialect: forms are made per question, tools by the hundred', () => {
    const make = (index: number): JsonSchema => ({ type: 'object', properties: { [`a${index}`]: {} } });
    const averageMs = (count: number, compile: (schema: JsonSchema) => unknown): number => {
      compile(make(0));
      const startedAt = performance.now();
      for (let index = 1; index <= count; index += 1) compile(make(index));
      return (performance.now() - startedAt) / count;
    };
    const withDialect = averageMs(3, (schema) => new Ajv2020({ logger: false }).compile(schema));
    expect(averageMs(15, (schema) => compileSchema(schema, 'test'))).toBeLessThan(withDialect / 2);
  });

  it('that is wrong in itself is refused', () => {
    expect(() => compileSchema({ type: 'objekt' }, 'tool "x": input')).toThrow(/^tool "x": input: /);
    expect(() => compileSchema('object' as unknown as JsonSchema, 'test')).toThrow(TypeError);
  });

  it('checks formats it knows and is silent about those it does not', () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {});
    const schema = {
      type: 'object',
      properties: { mail: { type: 'string', format: 'email' }, odd: { type: 'string', format: 'odd-thing' } },
    };
    expect(parse(schema, { mail: 'a@b.example', odd: 'x' })).toMatchObject({ isValid: true });
    expect(parse(schema, { mail: 'nobody' })).toEqual({
      isValid: false,
      problem: expect.stringMatching(/^mail: /),
    });
    expect(warn).not.toHaveBeenCalled();
  });

  it('returns the very value, unchanged: no defaults, no coercion', () => {
    const value = { count: '1' };
    const schema = { type: 'object', properties: { count: { type: 'number' }, more: { default: 1 } } };
    expect(parse(schema, value)).toMatchObject({ isValid: false });
    expect(value).toEqual({ count: '1' });
    const good = { count: 1 };
    expect(parse(schema, good)).toEqual({ isValid: true, value: good });
    expect(good).toEqual({ count: 1 });
  });

  it('tells two of one id apart: each compiles by itself', () => {
    const make = (type: string): JsonSchema => ({
      $id: 'https://example.com/same',
      type: 'object',
      properties: { a: { type } },
    });
    expect(parse(make('string'), { a: 'x' })).toMatchObject({ isValid: true });
    expect(parse(make('number'), { a: 'x' })).toMatchObject({ isValid: false });
  });
});

describe('any schema', () => {
  it('answers the same however often it is asked, and keeps nothing of what it saw', () => {
    const compiled = compileSchema(
      { type: 'object', properties: { a: { type: 'integer' } }, required: ['a'] },
      'test',
    );
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const first = compiled.parse(value);
        void compiled.parse({ a: 'broken' });
        expect(compiled.parse(value)).toEqual(first);
      }),
    );
  });

  it('must describe an object where one is needed', () => {
    expect(() => requireObjectSchema(compileSchema(z.string(), 'x'), 'tool "x": input')).toThrow(
      /^tool "x": input: the schema must describe an object/,
    );
    expect(() => requireObjectSchema(compileSchema({ properties: {} }, 'x'), 'x')).toThrow(TypeError);
  });
});
