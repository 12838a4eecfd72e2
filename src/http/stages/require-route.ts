import { RequestError } from '../../errors.ts';
import type { Stage } from '../stage.ts';

/** Answers 404 for a path that is not in the table, and 405 for a method that its path does not have. */
export const requireRoute: Stage = (exchange) => {
  if (exchange.route) return undefined;
  const { entry } = exchange;
  if (!entry) throw new RequestError('not_found', 'There is nothing at this path.');
  throw new RequestError('method_not_allowed', `This path takes ${entry.allow}.`, {
    headers: { Allow: entry.allow },
  });
};
