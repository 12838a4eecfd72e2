/**
 * The part of RFC 6570 that can be turned around, from a URI to the values that made it.
 *
 * Does not check what a value means: a decoded value may hold `/` or `..` (`%2F` in a segment), so whoever takes it
 * for a path must check it.
 */

/** A template, ready to match and to expand. */
export interface UriTemplate {
  /** As written. */
  readonly template: string;
  /** In the order of the template. */
  readonly variables: readonly string[];
  /**
   * The variables' values, percent-decoded. Where a URI can be read in several ways, earlier variables take as much
   * as they can.
   *
   * @returns `undefined` when the URI is not of this template, is longer than 8192 characters, or is wrongly
   *   percent-encoded
   */
  match(uri: string): Record<string, string> | undefined;
  /**
   * The URI that these values make. Values are plain text: a `%` in one is encoded too.
   *
   * @throws TypeError when a variable has no value, an empty one, or one that is not well-formed Unicode
   */
  expand(values: Readonly<Record<string, string>>): string;
}

/** Longer URIs are not looked at: matching takes room and time in proportion. */
const maxUriLength = 8192;

const maxVariables = 16;

const supported = 'Supported are {name} (one segment), {+name} (may hold slashes) and literal text.';

interface Variable {
  readonly name: string;
  /** `{+name}`: reserved characters stay as they are, so the value may hold `/`, `?` and `#`. */
  readonly isReserved: boolean;
  /** The literal text up to the next variable, or to the end. */
  readonly suffix: string;
}

/**
 * Reads a template: literal text, `{name}` and `{+name}`, each name once, with literal text between any two.
 *
 * @throws TypeError for anything else, naming the template and what is supported
 * @see RFC 6570, sections 3.2.2 and 3.2.3
 */
export function compileUriTemplate(template: string): UriTemplate {
  const { prefix, variables } = parseTemplate(template);
  return {
    template,
    variables: variables.map(({ name }) => name),
    match: (uri) => match(prefix, variables, uri),
    expand: (values) =>
      prefix +
      variables
        .map((variable) => encode(variable, values[variable.name], template) + variable.suffix)
        .join(''),
  };
}

function parseTemplate(template: string): { prefix: string; variables: readonly Variable[] } {
  const fail = (problem: string): never => {
    throw new TypeError(`URI template ${JSON.stringify(template)}: ${problem} ${supported}`);
  };
  if (/%(?![0-9a-f]{2})/i.test(template)) fail('a % must start a percent code, such as %20.');
  const [prefix = '', ...pieces] = template.split('{');
  if (prefix.includes('}')) fail('a } has no { before it.');
  const variables = pieces.map((piece, index) => {
    const [expression = '', suffix, ...rest] = piece.split('}');
    if (suffix === undefined) return fail('a { is not closed.');
    if (rest.length > 0) return fail('a } has no { before it.');
    if (suffix === '' && index < pieces.length - 1) {
      return fail(
        `nothing stands between {${expression}} and the variable after it, so where one ends is unknown.`,
      );
    }
    const isReserved = expression.startsWith('+');
    const name = isReserved ? expression.slice(1) : expression;
    if (!/^\w+(?:\.\w+)*$/.test(name)) return fail(`{${expression}} is not supported.`);
    return { name, isReserved, suffix };
  });
  const names = variables.map(({ name }) => name);
  const repeated = names.find((name, index) => names.indexOf(name) !== index);
  if (repeated !== undefined) fail(`the variable ${repeated} is there twice.`);
  if (variables.length > maxVariables) fail(`it has more than ${maxVariables} variables.`);
  return { prefix, variables };
}

function match(
  prefix: string,
  variables: readonly Variable[],
  uri: string,
): Record<string, string> | undefined {
  if (uri.length > maxUriLength || !uri.startsWith(prefix)) return undefined;
  const suffix = variables.at(-1)?.suffix;
  if (suffix === undefined) return uri === prefix ? {} : undefined;
  if (!uri.endsWith(suffix)) return undefined;
  const texts = split(
    variables,
    uri.slice(prefix.length, Math.max(prefix.length, uri.length - suffix.length)),
  );
  if (texts === undefined) return undefined;
  const values: [string, string][] = [];
  for (const [index, { name }] of variables.entries()) {
    const value = decode(texts[index] ?? '');
    if (value === undefined) return undefined;
    values.push([name, value]);
  }
  return Object.fromEntries(values);
}

/** The text of each variable in `body`, which is what stands between the prefix and the last suffix. */
function split(variables: readonly Variable[], body: string): readonly string[] | undefined {
  const [only, second] = variables;
  if (only !== undefined && second === undefined) {
    return body !== '' && (only.isReserved || !/[/?#]/.test(body)) ? [body] : undefined;
  }
  const segmentEnds = toSegmentEnds(body);
  const ends = toEnds(variables, body, segmentEnds);
  const texts: string[] = [];
  let start = 0;
  for (const [index, variable] of variables.entries()) {
    const end = chooseEnd(variable, ends[index], start, segmentEnds);
    if (end <= start) return undefined;
    texts.push(body.slice(start, end));
    start = end + variable.suffix.length;
  }
  return texts;
}

/**
 * For each variable, and each place in the body, the last place at or before it where that variable may end so that
 * all after it still fits; -1 for none.
 *
 * Worked out from the last variable to the first, so that matching never goes back: a regular expression with
 * several `.+` would take time in a power of the URI's length.
 */
function toEnds(
  variables: readonly Variable[],
  body: string,
  segmentEnds: readonly number[],
): readonly (readonly number[])[] {
  // The last variable ends where the body does.
  let following = variables.at(-1);
  let endsOfFollowing = Array.from({ length: body.length + 1 }, (_, place) =>
    place === body.length ? place : -1,
  );
  const ends = [endsOfFollowing];
  for (const variable of variables.slice(0, -1).toReversed()) {
    const endsOfVariable: number[] = [];
    let last = -1;
    for (let place = 0; place <= body.length; place += 1) {
      const isPossible = body.startsWith(variable.suffix, place) && !isInsidePercentCode(body, place);
      const next = place + variable.suffix.length;
      if (isPossible && chooseEnd(following, endsOfFollowing, next, segmentEnds) > next) last = place;
      endsOfVariable.push(last);
    }
    ends.unshift(endsOfVariable);
    following = variable;
    endsOfFollowing = endsOfVariable;
  }
  return ends;
}

/** Where a variable that starts at `start` ends; not past `start` when it cannot be there. */
function chooseEnd(
  variable: Variable | undefined,
  ends: readonly number[] | undefined,
  start: number,
  segmentEnds: readonly number[],
): number {
  const limit = variable?.isReserved === true ? segmentEnds.length - 1 : segmentEnds[start];
  return limit === undefined ? -1 : (ends?.[limit] ?? -1);
}

/** A value is made of whole percent codes: the `2` of `%2F` is none of a template's own. */
function isInsidePercentCode(text: string, place: number): boolean {
  return text[place - 1] === '%' || text[place - 2] === '%';
}

/** For each place in a text, where the segment that it is in ends. */
function toSegmentEnds(text: string): readonly number[] {
  const ends = Array.from({ length: text.length + 1 }, () => text.length);
  for (let place = text.length - 1; place >= 0; place -= 1) {
    const character = text[place];
    const isEnd = character === '/' || character === '?' || character === '#';
    ends[place] = isEnd ? place : (ends[place + 1] ?? place);
  }
  return ends;
}

function decode(text: string): string | undefined {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

function encode({ name, isReserved }: Variable, value: string | undefined, template: string): string {
  if (value === undefined || value === '') {
    throw new TypeError(
      `URI template ${JSON.stringify(template)}: the variable ${name} needs a value that is not empty.`,
    );
  }
  try {
    return isReserved ? encodeReserved(value) : encodeURIComponent(value).replace(/[!'()*]/g, toPercentCode);
  } catch (cause) {
    throw new TypeError(
      `URI template ${JSON.stringify(template)}: the value of ${name} is not well-formed Unicode.`,
      { cause },
    );
  }
}

/** RFC 6570 lets reserved characters through here; `encodeURI` would, too, but for the brackets. */
function encodeReserved(value: string): string {
  return encodeURI(value).replaceAll('%5B', '[').replaceAll('%5D', ']');
}

function toPercentCode(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
}
