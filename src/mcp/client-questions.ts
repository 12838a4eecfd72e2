/**
 * What both eras need to know of a question to the client: the capability it takes, and whether an answer has the
 * specification's shape.
 */
import type { StandardSchemaV1 } from '@standard-schema/spec';
import { ProtocolError, protocolErrorCodes } from '../errors.ts';
import type { ClientQuestion } from './dispatch-target.ts';
import { isRecord } from './json-rpc.ts';
import type { ClientCapabilities } from './protocol-types.ts';

/** Loaded with the first answer: most processes never ask, and the schemas take a while to load. */
async function loadAnswerSchema(method: ClientQuestion['method']): Promise<StandardSchemaV1> {
  const core = await import('@modelcontextprotocol/core');
  const schemas = {
    'elicitation/create': core.ElicitResultSchema,
    'sampling/createMessage': core.CreateMessageResultWithToolsSchema,
    'roots/list': core.ListRootsResultSchema,
  };
  return schemas[method];
}

/** An answer, or what is wrong with it. */
export type CheckedAnswer =
  | { readonly isValid: true; readonly answer: Readonly<Record<string, unknown>> }
  | { readonly isValid: false; readonly problem: string };

/**
 * @throws ProtocolError `-32021` naming the missing capability.
 * @see MCP 2026-07-28, Base Protocol, `_meta`: a server MUST NOT rely on capabilities the client has not declared
 */
export function requireCapability(question: ClientQuestion, declared: ClientCapabilities): void {
  const required = missingCapability(question, onlyObjects(declared));
  if (required === undefined) return;
  const [name] = Object.keys(required);
  throw new ProtocolError(
    protocolErrorCodes.missingRequiredClientCapability,
    `The client did not declare the ${name} capability that this request needs`,
    { requiredCapabilities: required },
  );
}

/** Checks an answer by the specification's schema, then by the question's own terms. */
export async function checkAnswer(question: ClientQuestion, answer: unknown): Promise<CheckedAnswer> {
  const schema = await loadAnswerSchema(question.method);
  const parsed = await schema['~standard'].validate(answer);
  if (parsed.issues !== undefined || !isRecord(answer)) {
    return { isValid: false, problem: `The client's answer to ${question.method} is malformed` };
  }
  const objection = await question.objection?.(answer);
  return objection === undefined ? { isValid: true, answer } : { isValid: false, problem: objection };
}

/** What a client declares was not checked when it came: a capability that is no object is none. */
function onlyObjects(declared: ClientCapabilities): ClientCapabilities {
  return Object.fromEntries(Object.entries(declared).filter(([, value]) => isRecord(value)));
}

function missingCapability(
  question: ClientQuestion,
  declared: ClientCapabilities,
): Record<string, unknown> | undefined {
  switch (question.method) {
    case 'elicitation/create': {
      const { elicitation } = declared;
      if (question.params['mode'] === 'url')
        return elicitation?.url ? undefined : { elicitation: { url: {} } };
      // An empty object means form mode. MCP 2025-11-25, Elicitation, Capabilities.
      const hasForm =
        elicitation !== undefined && (elicitation.form !== undefined || elicitation.url === undefined);
      return hasForm ? undefined : { elicitation: { form: {} } };
    }
    case 'sampling/createMessage':
      if (declared.sampling === undefined) return { sampling: {} };
      return question.params['tools'] !== undefined && declared.sampling.tools === undefined
        ? { sampling: { tools: {} } }
        : undefined;
    case 'roots/list':
      return declared.roots === undefined ? { roots: {} } : undefined;
  }
}
