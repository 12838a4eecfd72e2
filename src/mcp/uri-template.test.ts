import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileUriTemplate } from './uri-template.ts';

function match(template: string, uri: string): Record<string, string> | undefined {
  return compileUriTemplate(template).match(uri);
}

describe('a URI template', () => {
  it.each([
    ['notes://{id}', 'notes://42', { id: '42' }],
    ['notes://{id}', 'notes://a%20b%2Fc', { id: 'a b/c' }],
    ['notes://{id}', 'notes://caf%C3%A9', { id: 'café' }],
    ['notes://{id}', 'notes://a:b@c', { id: 'a:b@c' }],
    ['notes://{tenant}/{id}.json', 'notes://acme/7.json', { tenant: 'acme', id: '7' }],
    ['file:///{+path}', 'file:///a/b%20c?d#e', { path: 'a/b c?d#e' }],
    ['file:///{+folder}/{name}', 'file:///a/b/c', { folder: 'a/b', name: 'c' }],
    ['x://{+a}-{b}', 'x://x/y-z/w-q', { a: 'x/y-z/w', b: 'q' }],
    ['x://{name}.{extension}', 'x://a.tar.gz', { name: 'a.tar', extension: 'gz' }],
    ['x://{a}2{b}', 'x://%2F2%2F', { a: '/', b: '/' }],
    ['x://{a}--{b}', 'x://1---2', { a: '1-', b: '2' }],
    ['{+uri}', 'https://a/b', { uri: 'https://a/b' }],
    ['x://{a.b_1}', 'x://1', { 'a.b_1': '1' }],
    ['config://app', 'config://app', {}],
  ])('%s reads %s', (template, uri, values) => {
    expect(match(template, uri)).toEqual(values);
  });

  it.each([
    ['notes://{id}', 'notes://'],
    ['notes://{id}', 'notes://a/b'],
    ['notes://{id}', 'notes://a?b'],
    ['notes://{id}', 'notes://a#b'],
    ['notes://{id}', 'Xnotes://a'],
    ['notes://{id}', 'notes:/'],
    ['notes://{id}/', 'notes://a'],
    ['notes://{id}/', 'notes://a/b/'],
    ['notes://{tenant}/{id}', 'notes:///1'],
    ['file:///{+path}', 'file:///'],
    ['config://app', 'config://app/x'],
    ['notes://{id}', 'notes://%'],
    ['notes://{id}', 'notes://%zz'],
    ['notes://{id}', 'notes://%C3'],
    ['file:///{+path}', 'file:///a/%ff'],
  ])('%s does not read %s', (template, uri) => {
    expect(match(template, uri)).toBeUndefined();
  });

  it.each([
    'x://{?q}',
    'x://{&q}',
    'x://{#q}',
    'x://{/q}',
    'x://{.q}',
    'x://{;q}',
    'x://{q*}',
    'x://{q:3}',
    'x://{a,b}',
    'x://{}',
    'x://{+}',
    'x://{a b}',
    'x://{a.}',
    'x://{a',
    'x://a}',
    'x://{{a}}',
    'x://{a}b}',
    'x://{a}{b}',
    'x://{a}/{a}',
    'x://%/{a}',
    'x://{a}%2',
    'x://{a}/{+a}',
    `x://${Array.from({ length: 17 }, (_, index) => `{v${index}}`).join('/')}`,
  ])('refuses %s by name and says what is supported', (template) => {
    expect(() => compileUriTemplate(template)).toThrow(TypeError);
    expect(() => compileUriTemplate(template)).toThrow(JSON.stringify(template));
    expect(() => compileUriTemplate(template)).toThrow('Supported are {name}');
  });

  it('names its variables in order, those of the language included', () => {
    expect(compileUriTemplate('x://{b}/{+a}').variables).toEqual(['b', 'a']);
    expect(Object.entries(match('x://{__proto__}', 'x://1') ?? {})).toEqual([['__proto__', '1']]);
  });

  it('expands as RFC 6570 does, and refuses what it could not read again', () => {
    const template = compileUriTemplate('x://{id}/{+path}');
    expect(template.expand({ id: "a/b!'", path: 'c/d é[1]?%' })).toBe('x://a%2Fb%21%27/c/d%20%C3%A9[1]?%25');
    expect(() => template.expand({ id: '1' })).toThrow('the variable path needs a value');
    expect(() => template.expand({ id: '', path: '1' })).toThrow('the variable id needs a value');
    expect(() => template.expand({ id: '\ud800', path: '1' })).toThrow(
      'the value of id is not well-formed Unicode',
    );
  });

  const text = fc.string({ unit: 'binary', minLength: 1, maxLength: 20 });
  const awkward = fc.oneof(text, fc.stringMatching(/^[a-z./%{}+?#:-]{1,12}$/));

  it('reads back exactly the values that it expanded', () => {
    const templates = [
      'x://{a}',
      'x://{a}/{b}/c/{d}',
      '{a}:{b}',
      'x://{a}/{+b}',
      'x://{+b}',
      'x://{a}?q={b}#{d}',
    ];
    fc.assert(
      fc.property(fc.constantFrom(...templates), awkward, awkward, awkward, (source, a, b, d) => {
        const template = compileUriTemplate(source);
        const given = Object.entries({ a, b, d }).filter(([name]) => template.variables.includes(name));
        const values = Object.fromEntries(given);
        expect(template.match(template.expand(values))).toEqual(values);
      }),
      { numRuns: 500 },
    );
  });

  it('always reads what it expanded, as values that say the same, where there are several readings', () => {
    const templates = [
      '{a}-{b}',
      '{+a}/{b}',
      '{+a}/{+b}',
      '{a}.{b}-{d}',
      'a{a}a{+b}a',
      '{+a}--{b}//{+d}',
      '{+a}F{b}2{d}',
      '{a}%20{b}',
    ];
    fc.assert(
      fc.property(fc.constantFrom(...templates), awkward, awkward, awkward, (source, a, b, d) => {
        const template = compileUriTemplate(source);
        const uri = template.expand({ a, b, d });
        const values = template.match(uri);
        expect(values).toBeDefined();
        expect(decodeURIComponent(template.expand(values ?? {}))).toBe(decodeURIComponent(uri));
      }),
      { numRuns: 500 },
    );
  });

  it('never throws on any URI', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary' }),
        fc.stringMatching(/^[%a-f0-9/?#-]{0,30}$/),
        (wild, encoded) => {
          for (const source of ['{a}', '{+a}', '{a}-{+b}', '{+a}/{b}']) {
            match(source, wild);
            match(source, encoded);
          }
        },
      ),
    );
  });

  it('takes time in proportion to the longest URI it looks at, however many readings there are', () => {
    const source = Array.from({ length: 16 }, (_, index) => `{+v${index}}`).join('a');
    const template = compileUriTemplate(`${source}!`);
    const started = process.hrtime.bigint();
    expect(template.match('a'.repeat(8192))).toBeUndefined();
    expect(Number(process.hrtime.bigint() - started) / 1e6).toBeLessThan(500);
    expect(template.match('a'.repeat(8193))).toBeUndefined();
    expect(match('x{+a}', 'x'.repeat(8192))).toBeDefined();
    expect(match('x{+a}', 'x'.repeat(8193))).toBeUndefined();
  });
});
