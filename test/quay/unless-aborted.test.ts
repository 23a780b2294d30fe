import { getEventListeners } from 'node:events'
import t from 'tap'
import { unlessAborted } from '../../src/quay/unless-aborted.ts'
import { failure, told } from './upstream.ts'

await t.test('what it ends with, and nothing left behind', async (test) => {
  const { signal } = new AbortController()
  test.equal(await unlessAborted(signal, Promise.resolve('answer')), 'answer')
  const error = new Error('no')
  await test.rejects(unlessAborted(signal, Promise.reject(error)), error)
  test.equal(getEventListeners(signal, 'abort').length, 0)
})

await t.test('whoever leaves does not wait, and what comes later ends nothing', async (test) => {
  const leaves = new AbortController()
  const { promise, reject } = Promise.withResolvers<string>()
  const waiting = failure(unlessAborted(leaves.signal, promise))
  leaves.abort()
  test.equal(told(await waiting), '503 UNAVAILABLE 5')
  reject(new Error('late'))
  await new Promise((resolve) => setImmediate(resolve))
  test.equal(told(await failure(unlessAborted(leaves.signal, Promise.resolve('late')))), '503 UNAVAILABLE 5')
})
