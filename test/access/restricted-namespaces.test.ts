import t from 'tap'
import { createRestrictedNamespaces } from '../../src/access/restricted-namespaces.ts'

await t.test('patterns of namespaces', async (test) => {
  const rows: readonly (readonly [readonly string[], string, boolean])[] = [
    [['*-priv', '*-private'], 'ocp-priv', true],
    [['*-priv', '*-private'], 'ocp-private', true],
    [['*-priv', '*-private'], 'openshift-priv', true],
    [['*-priv', '*-private'], 'ocp', false],
    [['*-priv', '*-private'], 'ocp-priv-2', false],
    [['*-priv', '*-private'], 'priv', false],
    [['*-priv', '*-private'], 'ocppriv', false],
    [['ocp'], 'ocp', true],
    [['ocp'], 'ocp2', false],
    [['ocp'], 'my-ocp', false],
    [['ocp-*'], 'ocp-', true],
    [['a*b*c'], 'abc', true],
    [['a*b*c'], 'a-1-b-2-c', true],
    [['a*b*c'], 'acb', false],
    [['*'], 'anything', true],
    [['*'], '', true],
    [[''], 'ocp', false],
    [[], 'ocp', false],
  ]
  for (const [patterns, namespace, restricted] of rows)
    test.equal(
      createRestrictedNamespaces(patterns)(namespace),
      restricted,
      `${patterns.join(',')} ${namespace}`,
    )
})

await t.test('attack: a pattern is literal text, not a regular expression', async (test) => {
  for (const [pattern, other] of [
    ['a.b', 'axb'],
    ['a+', 'aa'],
    ['a|b', 'b'],
    ['(a)', 'a'],
    ['[a]', 'a'],
    ['a?', 'a'],
    ['D', '-'],
    ['aSb', 'a-b'],
    ['a{2}', 'aa'],
    [String.raw`\w`, 'a'],
    ['^a$', 'a'],
  ] as const) {
    const isRestricted = createRestrictedNamespaces([pattern])
    test.equal(isRestricted(pattern), true, `${pattern} is itself`)
    test.equal(isRestricted(other), false, `${pattern} is not ${other}`)
  }
})
