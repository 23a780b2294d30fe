import t from 'tap'
import { parseDocument, type Scalar } from 'yaml'
import { inspectNodes } from '../../../src/mirror/config/yaml-nodes.ts'

const inspected = (yaml: string) => {
  const document = parseDocument(yaml, { version: '1.1', uniqueKeys: false })
  const { repeatedKeys, targets } = inspectNodes(document)
  return {
    repeated: repeatedKeys.map((key) => (key as Scalar).value),
    targets: [...targets].map(([{ source }, node]) => [source, node.toJS(document)]),
  }
}

await t.test('keys that a map has twice', async (t) => {
  t.strictSame(inspected('a: 1\nb: {c: 1, d: 2, c: 3}\na: 2\n? [x]\n: 1\n? [x]\n: 2\n').repeated, ['a', 'c'])
  t.strictSame(inspected('a: {b: 1}\nc: {b: 1}\n1: x\n"1": y\n').repeated, [])
})

await t.test('an alias stands for the last anchor of its name before it', async (t) => {
  t.strictSame(inspected('a: &x 1\nb: *x\nc: &x 2\nd: [*x]\ne: *y\nf: &y 3\n').targets, [
    ['x', 1],
    ['x', 2],
  ])
})

await t.test('thousands of repeated keys and aliases', async (t) => {
  const count = 3000
  const keys = Array.from({ length: count }, (_, index) => `k${index}: *x\n`).join('')
  const { repeated, targets } = inspected(`x: &x y\n${keys}${keys}`)
  t.equal(repeated.length, count)
  t.equal(targets.length, 2 * count)
})

const counted = (yaml: string) => inspectNodes(parseDocument(yaml))

await t.test('each alias counts, and the nodes that it adds', async (t) => {
  for (const [yaml, aliases, added] of [
    ['', 0, 0],
    ['a: b', 0, 0],
    ['? a', 0, 0],
    ['a: &x [1, 2]\nb: *x\nc: [*x, *x]', 3, 6],
    ['a: *none', 1, 0],
    ['a: &x [*x]\nb: *x', 2, 1],
    ['a: &x {b: &x 1, c: *x}\nd: *x', 2, 0],
  ] as const)
    t.match(counted(yaml), { aliases, added }, yaml)
  const bomb = Array.from({ length: 300 }, (_, at) => `- &a${at + 1} [*a${at}, *a${at}]`).join('\n')
  t.ok(counted(`- &a0 x\n${bomb}`).added > 2 ** 300)
})
