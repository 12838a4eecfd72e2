import type { RouteTable } from '../routes.ts';
import type { Stage } from '../stage.ts';

/** Finds what the path names, and the row for the method; refusing is left to `requireRoute`. */
export function createPathStage(table: RouteTable): Stage {
  return (exchange) => {
    let entry = table.findExact(exchange.path);
    if (!entry) {
      const match = table.findPattern(exchange.path);
      if (!match) return undefined;
      entry = match.entry;
      if (match.parameters) exchange.parameters = match.parameters;
    }
    exchange.entry = entry;
    exchange.route = entry.methods.get(exchange.method);
    return undefined;
  };
}
