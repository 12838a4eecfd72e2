import { describe, expect, it } from 'vitest';
import { ProtocolError, protocolErrorCodes } from '../errors.ts';
import { requireCapability } from './client-questions.ts';
import type { ClientQuestion } from './dispatch-target.ts';
import type { ClientCapabilities } from './protocol-types.ts';

const questions: readonly ClientQuestion[] = [
  { method: 'elicitation/create', key: 'form', params: { mode: 'form' } },
  { method: 'elicitation/create', key: 'url', params: { mode: 'url' } },
  { method: 'sampling/createMessage', key: 'sample', params: { tools: [] } },
  { method: 'roots/list', key: 'roots', params: {} },
];

describe('requireCapability', () => {
  it.each([null, 1, true, 'x', []])('takes a capability that is %j for none', (value) => {
    // What a client sends as capabilities is not checked when it comes.
    const declared = { elicitation: value, sampling: value, roots: value } as unknown as ClientCapabilities;
    for (const question of questions) {
      expect(() => {
        requireCapability(question, declared);
      }).toThrow(
        expect.objectContaining({
          name: ProtocolError.name,
          code: protocolErrorCodes.missingRequiredClientCapability,
        }),
      );
    }
  });
});
