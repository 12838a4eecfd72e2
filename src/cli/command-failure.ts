/** A command that could not do what it was asked to: one sentence for the person, who needs no stack. */
export class CommandFailure extends Error {
  override readonly name = 'CommandFailure';
}
