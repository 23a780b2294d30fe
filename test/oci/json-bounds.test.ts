import t from 'tap'
import { withinBounds } from '../../src/oci/json-bounds.ts'

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
