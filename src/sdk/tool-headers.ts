import { isRecord } from '../mcp/json-rpc.ts';
import { checkParameterHeaders, findParameterHeaders } from '../mcp/parameter-headers.ts';
import type { ParameterHeader } from '../mcp/parameter-headers.ts';
import type { Exchange, FeatureRequest } from '../mcp/dispatch-target.ts';

/** Most tools whose annotations are remembered; past it, the ones learned after the start are forgotten first. */
export const maxRememberedTools = 10_000;

/** Asks the instance at hand for its whole tool list. */
export type ListTools = () => Promise<readonly unknown[]>;

/**
 * Which tools of a hosted server want `Mcp-Param-*` headers. Read off the tool list once, at the start, because turning
 * a server's schemas into JSON costs more than most calls; so a tool's name must mean one schema, whoever calls.
 */
export class ToolHeaders {
  readonly #byTool = new Map<string, readonly ParameterHeader[]>();
  readonly #invalid: (problem: string) => void;

  /** @param invalid told of an annotation that breaks the rules: it is not checked, and clients hide the tool */
  constructor(invalid: (problem: string) => void) {
    this.#invalid = invalid;
  }

  /** Reads the annotations of a tool list. */
  learn(tools: readonly unknown[]): void {
    for (const tool of tools) {
      if (!isRecord(tool) || typeof tool['name'] !== 'string' || !isRecord(tool['inputSchema'])) continue;
      if (this.#byTool.size >= maxRememberedTools) return;
      this.#byTool.set(tool['name'], this.#find(tool['name'], tool['inputSchema']));
    }
  }

  /**
   * @param list for a tool that was not in the list at the start; `undefined` where listing is the author's own code
   * @throws ProtocolError `-32020` when a header is missing, malformed, or disagrees with the arguments
   */
  async check(
    request: FeatureRequest,
    headers: NonNullable<Exchange['parameterHeaders']>,
    list: ListTools | undefined,
  ): Promise<void> {
    const { name, arguments: input } = request.params;
    if (typeof name !== 'string') return;
    if (!this.#byTool.has(name) && list !== undefined) this.learn(await list());
    const declared = this.#byTool.get(name);
    if (declared !== undefined && declared.length > 0)
      checkParameterHeaders(declared, headers, isRecord(input) ? input : {});
  }

  #find(name: string, schema: Record<string, unknown>): readonly ParameterHeader[] {
    try {
      return findParameterHeaders(schema, `tool ${name}`);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      this.#invalid(error.message);
      return [];
    }
  }
}
