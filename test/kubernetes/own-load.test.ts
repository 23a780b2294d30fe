import t from 'tap'
import { RegistryError } from '../../src/errors.ts'
import { OwnLoad, ownLoad } from '../../src/kubernetes/own-load.ts'

await t.test('503 that says when to come again, and a class of its own', async (test) => {
  const error = ownLoad()
  test.ok(error instanceof OwnLoad && error instanceof RegistryError)
  test.match(error, { code: 'UNAVAILABLE', status: 503, headers: { 'retry-after': '1' } })
  test.match(ownLoad(7, new Error('because')), {
    headers: { 'retry-after': '7' },
    cause: { message: 'because' },
  })
})
