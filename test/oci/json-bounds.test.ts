import t from 'tap'
import { parseAnswer, withinBounds } from '../../src/oci/json-bounds.ts'

const bounds = { maxDepth: 3, maxContainers: 5, maxValues: 4 }
const rows: Record<string, number | undefined> = {
  '': 0,
  '5': 0,
  '{"a":1,"b":{"c":2}}': 3,
  '[[[1]]]': 0,
  '[[[[1]]]]': undefined,
  '[[],[],[],[]]': 0,
  '[[],[],[],[],[]]': undefined,
  '[1,2,3,4,5]': 0,
  '[1,2,3,4,5,6]': undefined,
  '"[[[[:,:,:,,,"': 0,
  '{"\\"[[[[":"\\\\"}': 1,
  '"without an end [[[[[[[': 0,
  '"\\': 0,
  ']]]][[[': 0,
}

for (const [text, names] of Object.entries(rows))
  await t.test(`${text} has ${names ?? 'too much'}`, (test) => {
    test.equal(withinBounds(Buffer.from(text), bounds), names)
    test.end()
  })

await t.test('attack: no response of a peer takes long to parse', async (test) => {
  test.strictSame(parseAnswer(Buffer.from('{"a":[1,{"b":null}]}')), { a: [1, { b: null }] })
  test.throws(() => parseAnswer(Buffer.from('<html>')), SyntaxError)
  const most = 4 * 1024 * 1024
  const answers = {
    'arrays in each other': '['.repeat(most / 2) + ']'.repeat(most / 2),
    'objects in each other': '{"":'.repeat(most / 6) + '1' + '}'.repeat(most / 6),
    'arrays beside each other': `[${'[],'.repeat(most / 3)}[]]`,
    'names of one object': `{${Array.from({ length: most / 12 }, (_, index) => `"${index}":1`).join()}}`,
    numbers: `[${'1,'.repeat(most / 2)}1]`,
  }
  for (const [what, text] of Object.entries(answers))
    test.throws(() => parseAnswer(Buffer.from(text)), { message: /more structure than is parsed/ }, what)
})
