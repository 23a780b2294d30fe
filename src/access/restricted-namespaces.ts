/**
 * The namespaces that QCI-wide access does not open, because QCI also contains embargoed fixes.
 * A pattern is a namespace, or one with `*` for any run of characters (`*-priv`).
 */
export const createRestrictedNamespaces = (patterns: readonly string[]): ((namespace: string) => boolean) => {
  const expressions = patterns.map((pattern) => {
    const literal = pattern.split('*').map((part) => RegExp.escape(part))
    return new RegExp(`^${literal.join('[a-z0-9-]*')}$`)
  })
  return (namespace) => expressions.some((expression) => expression.test(namespace))
}
