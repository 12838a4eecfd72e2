import { ProtocolError, protocolErrorCodes } from '../errors.ts';
import { InputRequired } from './input-required.ts';
import { ToolError } from './tool-result.ts';

/** An author's handler threw something that is not for the caller: told without its text, logged with its cause. */
export class HandlerFailure extends Error {
  override readonly name = 'HandlerFailure';
  /** What failed, e.g. `tool add_note`; safe to tell. */
  readonly what: string;
  /** Whether a caller can bring it about at will: a warning then, or anyone could fill the log with errors. */
  readonly isProvoked: boolean;

  constructor(what: string, cause: unknown, options: { readonly isProvoked?: boolean } = {}) {
    super(`${what} failed`, { cause });
    this.what = what;
    this.isProvoked = options.isProvoked ?? false;
  }
}

/** Runs an author's code; what it throws that is not meant for the caller becomes a `HandlerFailure`. */
export async function failuresOf<Value>(what: string, run: () => Value | Promise<Value>): Promise<Value> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof ProtocolError || error instanceof InputRequired) throw error;
    if (error instanceof ToolError) throw new ProtocolError(protocolErrorCodes.invalidParams, error.message);
    throw new HandlerFailure(what, error);
  }
}
