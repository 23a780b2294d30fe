import { getEventListeners } from 'node:events'
import t from 'tap'
import { unlessAborted } from '../../src/concurrency/abortable.ts'

await t.test('the result or the error is passed on, and the listener is removed', async (test) => {
  const { signal } = new AbortController()
  test.equal(await unlessAborted(signal, Promise.resolve('answer')), 'answer')
  const error = new Error('no')
  await test.rejects(unlessAborted(signal, Promise.reject(error)), error)
  test.equal(getEventListeners(signal, 'abort').length, 0)
  test.equal(await unlessAborted(undefined, Promise.resolve('nobody leaves')), 'nobody leaves')
})

await t.test('an abort ends the wait, and a later rejection does not end the process', async (test) => {
  const leaves = new AbortController()
  const { promise, reject } = Promise.withResolvers<string>()
  const waiting = unlessAborted(leaves.signal, promise, (reason) => new Error('left', { cause: reason }))
  leaves.abort(new Error('gone'))
  await test.rejects(waiting, { message: 'left', cause: { message: 'gone' } })
  reject(new Error('late'))
  await new Promise((resolve) => setImmediate(resolve))
  await test.rejects(unlessAborted(leaves.signal, Promise.resolve('late')), { message: 'gone' })
  test.equal(getEventListeners(leaves.signal, 'abort').length, 0)
})
