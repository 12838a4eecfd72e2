import type { Principal } from '../auth/principal.ts';
import type { ClientQuestion, Exchange } from './dispatch-target.ts';
import type {
  ElicitAnswer,
  Handles,
  HandlerContext,
  QuestionOptions,
  SessionState,
} from './handler-context.ts';
import { isLogged } from './logging-levels.ts';
import type {
  ClientCapabilities,
  CreateMessageParams,
  CreateMessageResult,
  ElicitFormParams,
  Implementation,
  JsonRpcId,
  LoggingLevel,
  Root,
} from './protocol-types.ts';
import { compileSchema, type CompiledSchema } from './schema.ts';
import type { AnySchema, Parsed } from './server-definition.ts';
import { ToolError } from './tool-result.ts';

// Forms are mostly constants of a module: each is compiled once however often it is asked.
const compiledForms = new WeakMap<object, CompiledSchema>();

/** The context of one call: what `HandlerContext` promises, over an exchange. */
export class CallContext implements HandlerContext {
  /** For completers: the other arguments. Empty elsewhere. */
  readonly arguments: Readonly<Record<string, string>>;
  /** For resource templates: the URI being read. Empty elsewhere. */
  readonly uri: string;
  readonly #exchange: Exchange;
  readonly #progressToken: JsonRpcId | undefined;
  #progress = Number.NEGATIVE_INFINITY;
  #asked = 0;

  constructor(
    exchange: Exchange,
    parts: {
      progressToken?: JsonRpcId | undefined;
      arguments?: Readonly<Record<string, string>>;
      uri?: string;
    } = {},
  ) {
    this.#exchange = exchange;
    this.#progressToken = parts.progressToken;
    this.arguments = parts.arguments ?? {};
    this.uri = parts.uri ?? '';
  }

  get principal(): Principal {
    return this.#exchange.principal;
  }

  get era(): 'modern' | 'legacy' {
    return this.#exchange.era;
  }

  get protocolVersion(): string {
    return this.#exchange.protocolVersion;
  }

  get clientInfo(): Implementation | undefined {
    return this.#exchange.clientInfo;
  }

  get clientCapabilities(): ClientCapabilities {
    return this.#exchange.clientCapabilities;
  }

  get requestId(): string {
    return this.#exchange.requestId;
  }

  get signal(): AbortSignal {
    return this.#exchange.signal;
  }

  get session(): SessionState | undefined {
    return this.#exchange.session;
  }

  get handles(): Handles {
    return this.#exchange.handles;
  }

  progress(progress: number, total?: number, message?: string): void {
    if (this.#progressToken === undefined) return;
    // MCP 2026-07-28, Progress: the value MUST increase with each notification.
    if (!(progress > this.#progress)) return;
    this.#progress = progress;
    const params = {
      progressToken: this.#progressToken,
      progress,
      ...(total === undefined ? {} : { total }),
      ...(message === undefined ? {} : { message }),
    };
    this.#exchange.notify({ jsonrpc: '2.0', method: 'notifications/progress', params });
  }

  log(level: LoggingLevel, data: unknown, logger?: string): void {
    if (!isLogged(level, this.#exchange.logLevel)) return;
    const params = { level, data, ...(logger === undefined ? {} : { logger }) };
    this.#exchange.notify({ jsonrpc: '2.0', method: 'notifications/message', params });
  }

  elicit<const Schema extends AnySchema>(
    message: string,
    schema: Schema,
    options?: QuestionOptions,
  ): Promise<ElicitAnswer<Parsed<Schema>>> {
    const form = compileForm(schema);
    let content: unknown;
    const objection = async (answer: Readonly<Record<string, unknown>>): Promise<string | undefined> => {
      if (answer['action'] !== 'accept') return undefined;
      const outcome = await form.parse(answer['content'] ?? {});
      if (!outcome.isValid) return `The answer does not fit the form: ${outcome.problem}`;
      content = outcome.value;
      return undefined;
    };
    const { $schema: _, ...requestedSchema } = form.json;
    return this.#ask(
      'elicitation/create',
      { mode: 'form', message, requestedSchema },
      { ...options, objection },
      // `objection` has parsed it by this very schema.
      (answer) => toElicitAnswer(answer, content as Parsed<Schema>),
    );
  }

  elicitForm(
    params: Omit<ElicitFormParams, 'mode' | '_meta' | 'task'>,
    options?: QuestionOptions,
  ): Promise<ElicitAnswer<Readonly<Record<string, unknown>>>> {
    return this.#ask('elicitation/create', { mode: 'form', ...params }, options, (answer) =>
      // The specification's schema, which every answer passed, says what `content` holds.
      toElicitAnswer(answer, (answer['content'] ?? {}) as Readonly<Record<string, unknown>>),
    );
  }

  elicitUrl(
    message: string,
    url: string,
    options?: QuestionOptions,
  ): Promise<'accept' | 'decline' | 'cancel'> {
    const elicitationId = options?.key ?? `${this.#exchange.requestId}-${this.#asked + 1}`;
    // The stateless era has no elicitation id: the round itself is the correlation.
    const params = { mode: 'url', message, url, ...(this.era === 'legacy' ? { elicitationId } : {}) };
    return this.#ask(
      'elicitation/create',
      params,
      options,
      (answer) => answer['action'] as 'accept' | 'decline' | 'cancel',
    );
  }

  sample(params: CreateMessageParams, options?: QuestionOptions): Promise<CreateMessageResult> {
    return this.#ask('sampling/createMessage', params, options, (answer) => answer as CreateMessageResult);
  }

  listRoots(options?: QuestionOptions): Promise<readonly Root[]> {
    return this.#ask('roots/list', {}, options, (answer) => answer['roots'] as readonly Root[]);
  }

  async once<Value>(key: string, work: () => Value | Promise<Value>): Promise<Value> {
    const kept = this.#exchange.recall(key);
    if (kept !== undefined) return JSON.parse(kept) as Value;
    const value = await work();
    this.#exchange.remember(key, JSON.stringify(value ?? null));
    return value;
  }

  async resourceUpdated(uri: string): Promise<void> {
    await this.#exchange.publish({ kind: 'resource_updated', uri, tenantId: this.principal.activeTenantId });
  }

  async listChanged(list: 'tools' | 'prompts' | 'resources'): Promise<void> {
    await this.#exchange.publish({ kind: 'list_changed', list, tenantId: this.principal.activeTenantId });
  }

  releaseConnection(retryMs?: number): void {
    this.#exchange.releaseConnection(retryMs);
  }

  #ask<Value>(
    method: ClientQuestion['method'],
    params: Readonly<Record<string, unknown>>,
    options: (QuestionOptions & Pick<ClientQuestion, 'objection'>) | undefined,
    toValue: (answer: Readonly<Record<string, unknown>>) => Value,
  ): Promise<Value> {
    this.#asked += 1;
    const { key = `question-${this.#asked}`, timeoutMs, objection } = options ?? {};
    const answered = this.#exchange
      .ask({
        method,
        params,
        key,
        ...(timeoutMs === undefined ? {} : { timeoutMs }),
        ...(objection === undefined ? {} : { objection }),
      })
      .then(toValue);
    // A handler may leave a question behind, or fail at another one first. That is no failure of this process.
    answered.catch(() => {});
    return answered;
  }
}

function compileForm(schema: AnySchema): CompiledSchema {
  let compiled = compiledForms.get(schema);
  if (compiled === undefined) {
    compiled = compileSchema(schema, 'elicitation form');
    compiledForms.set(schema, compiled);
  }
  return compiled;
}

function toElicitAnswer<Content>(
  answer: Readonly<Record<string, unknown>>,
  content: Content,
): ElicitAnswer<Content> {
  const action = answer['action'];
  if (action === 'accept') return { action, content };
  if (action === 'decline' || action === 'cancel') return { action };
  throw new ToolError('The client answered the question with an unknown action');
}
