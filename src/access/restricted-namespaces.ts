/**
 * Which namespaces a right to the whole monorepo does not open: embargoed fixes live beside everything else in QCI.
 * A pattern is a namespace, or one with `*` for any run of characters (`*-priv`).
 */
export const createRestrictedNamespaces = (patterns: readonly string[]): ((namespace: string) => boolean) => {
  const expressions = patterns.map((pattern) => {
    const literal = pattern.split('*').map((part) => RegExp.escape(part))
    return new RegExp(`^${literal.join('[a-z0-9-]*')}$`)
  })
  return (namespace) => expressions.some((expression) => expression.test(namespace))
}
