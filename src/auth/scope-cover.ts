/**
 * Whether a scope is within what others grant. `*` grants everything; `a` grants `a` and whatever is below it:
 * `a:b`, `a:b:c`. A longer word is not below a shorter one: `notes` does not grant `notesx`.
 */
export function isScopeCovered(scope: string, by: readonly string[]): boolean {
  return by.some((granted) => granted === '*' || granted === scope || scope.startsWith(`${granted}:`));
}

/** Whether every one of `scopes` is within what `by` grants. */
export function areScopesCovered(scopes: readonly string[], by: readonly string[]): boolean {
  return scopes.every((scope) => isScopeCovered(scope, by));
}
