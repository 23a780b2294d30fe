import t from 'tap'
import { collations } from '../../../src/sandbox/quay/collation.ts'

/** The same names in each run. */
const namesOf = (count: number, alphabet: string): readonly string[] => {
  let seed = 1
  const random = (below: number): number => {
    seed = (seed * 48_271) % 2_147_483_647
    return seed % below
  }
  return Array.from({ length: count }, () =>
    Array.from({ length: 1 + random(6) }, () => alphabet[random(alphabet.length)]).join(''),
  )
}

await t.test('sorting and comparing agree, whatever the names', (test) => {
  const names = [...new Set(namesOf(3000, 'aAbBzZ019_.-'))]
  for (const [name, { inOrder, compare }] of Object.entries(collations)) {
    const sorted = inOrder(names)
    test.equal(new Set(sorted).size, names.length, name)
    for (const [index, tag] of sorted.slice(1).entries())
      if (compare(sorted[index]!, tag) >= 0) test.fail(`${name}: ${sorted[index]} before ${tag}`)
  }
  test.end()
})

await t.test('bytes: digits, large letters, the low line, small letters', (test) => {
  const names = ['ocp_4', 'OCP_4', '2024_x', 'ocp-priv_4', 'ocp.x']
  test.strictSame(collations.bytes.inOrder(names), ['2024_x', 'OCP_4', 'ocp-priv_4', 'ocp.x', 'ocp_4'])
  test.end()
})

await t.test('text: as if punctuation were not there, small letters before large ones', (test) => {
  const names = ['ocq', 'OCP_4', 'ocp_r', 'ocp-priv_4', 'ocp_p', 'ocp4', 'ocp_4', '20240101_x', 'Ocp_4']
  test.strictSame(collations.text.inOrder(names), [
    '20240101_x',
    'ocp4',
    'ocp_4',
    'Ocp_4',
    'OCP_4',
    'ocp_p',
    'ocp-priv_4',
    'ocp_r',
    'ocq',
  ])
  test.end()
})
