import { once } from 'node:events'
import t from 'tap'
import { createDeadline } from '../../../src/upstream/client/deadline.ts'
import { staying } from '../../concurrency/fake-clock.ts'

await t.test('the signal is aborted after the deadline', async (test) => {
  const { signal } = createDeadline(10, new AbortController().signal)
  staying(test)
  await once(signal, 'abort')
  test.match(signal.reason, { name: 'TimeoutError' })
})

await t.test(
  "the caller's own signal aborts at once, before and after the deadline is lifted",
  async (test) => {
    for (const lifted of [false, true]) {
      const caller = new AbortController()
      const deadline = createDeadline(60_000, caller.signal)
      if (lifted) deadline.lift()
      caller.abort()
      test.ok(deadline.signal.aborted)
    }
  },
)

await t.test('a lifted deadline never aborts', async (test) => {
  const { signal, lift } = createDeadline(10)
  lift()
  staying(test)
  await once(createDeadline(10).signal, 'abort')
  test.notOk(signal.aborted, 'and one that began later did come')
})
