import t from 'tap'
import { memoryLease } from '../../../src/sandbox/mirror/memory-lease.ts'

await t.test('a write of another version is refused', async (test) => {
  const store = memoryLease()
  test.equal(await store.read(), undefined)
  const record = { holder: 'a', durationSeconds: 15, acquiredAt: 1, renewedAt: 1, transitions: 0 }
  test.equal(await store.write({ ...record, version: undefined }), true)
  test.match(await store.read(), { holder: 'a', version: '1' })
  test.equal(await store.write({ ...record, version: undefined }), false)
  test.equal(await store.write({ ...record, holder: 'b', version: '1' }), true)
  test.match(await store.read(), { holder: 'b', version: '2' })
})
