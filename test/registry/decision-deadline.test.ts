import t from 'tap'
import type { FastifyRequest } from 'fastify'
import { beforeDeadline } from '../../src/registry/decision-deadline.ts'

const received = (secondsAgo: number) =>
  ({ receivedAt: performance.now() - secondsAgo * 1000 }) as FastifyRequest

await t.test('work within the deadline', async (test) => {
  test.equal(await beforeDeadline(received(0), Promise.resolve('done')), 'done')
  await test.rejects(beforeDeadline(received(0), Promise.reject(new Error('no'))), { message: 'no' })
})

await t.test(
  'trap 19: work past the deadline is a 503 with Retry-After, counted from the arrival of the request',
  async (test) => {
    const { promise, resolve } = Promise.withResolvers<string>()
    await test.rejects(beforeDeadline(received(4.45), promise), {
      code: 'UNAVAILABLE',
      status: 503,
      headers: { 'retry-after': '5' },
    })
    resolve('too late, and nobody minds')
  },
)

await t.test('past the deadline there is no wait, and a late failure is handled', async (test) => {
  const { promise, reject } = Promise.withResolvers<string>()
  await test.rejects(beforeDeadline(received(60), promise), { code: 'UNAVAILABLE' })
  reject(new Error('late'))
  test.equal(await beforeDeadline(received(60), Promise.resolve('known already')), 'known already')
})
