import t from 'tap'
import { Pending } from '../../src/storage/pending.ts'

await t.test('the end waits for all work, however it ends', async (test) => {
  const pending = new Pending()
  const [done, failed] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const added = pending.add(done.promise)
  const rejected = test.rejects(pending.add(failed.promise), { message: 'EIO' })
  let isSettled = false
  const settled = pending.settled().then(() => (isSettled = true))
  failed.reject(new Error('EIO'))
  await rejected
  test.notOk(isSettled)
  done.resolve()
  await Promise.all([added, settled])
  test.ok(isSettled)
  await pending.settled()
})
