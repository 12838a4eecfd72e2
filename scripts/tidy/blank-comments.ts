// One alternative per thing that can hold what looks like the others: comments, strings, templates, expressions.
const tokens =
  /\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\[\s\S]|[^`\\])*`|(?<=[(,=:[!&|?{};]\s*|\breturn\s+|^\s*)\/(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\/[a-z]*/gm;

/**
 * A source text whose comments are spaces, so that rules see only code. Lines and columns stay where they are.
 *
 * @param options.withText false: the inside of strings, templates and regular expressions is blank too
 */
export function blankComments(text: string, options: { readonly withText?: boolean } = {}): string {
  return text.replace(tokens, (token) => {
    const isComment = token.startsWith('//') || token.startsWith('/*');
    return isComment || options.withText === false ? token.replace(/[^\n]/g, ' ') : token;
  });
}
