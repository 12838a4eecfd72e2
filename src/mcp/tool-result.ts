import type { ContentBlock } from './protocol-types.ts';

/** A tool's answer told in full, when a string or the output value does not say enough. */
export class ToolResult {
  readonly content: readonly ContentBlock[];
  readonly structuredContent: Readonly<Record<string, unknown>> | undefined;
  readonly isError: boolean;
  readonly _meta: Readonly<Record<string, unknown>> | undefined;

  constructor(parts: {
    readonly content?: readonly ContentBlock[];
    readonly structuredContent?: Readonly<Record<string, unknown>>;
    readonly isError?: boolean;
    readonly _meta?: Readonly<Record<string, unknown>>;
  }) {
    this.content = parts.content ?? [];
    this.structuredContent = parts.structuredContent;
    this.isError = parts.isError ?? false;
    this._meta = parts._meta;
  }
}

/** A failure the model should read and can act on: becomes `isError: true` with this message as text. */
export class ToolError extends Error {
  override readonly name = 'ToolError';
}
