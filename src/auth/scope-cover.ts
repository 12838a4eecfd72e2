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

/**
 * The scopes that are within both: of two of which one implies the other, the narrower. In the order of `scopes`,
 * without repetition.
 */
export function intersectScopes(scopes: readonly string[], by: readonly string[]): readonly string[] {
  const shared = scopes.flatMap((scope) =>
    isScopeCovered(scope, by) ? [scope] : by.filter((granted) => isScopeCovered(granted, [scope])),
  );
  return [...new Set(shared)];
}
