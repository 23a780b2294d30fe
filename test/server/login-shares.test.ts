import t from 'tap'
import { shareLogins } from '../../src/server/login-shares.ts'
import { alice } from '../registry/fakes.ts'

const credential = { kind: 'bearer', token: 'x' } as const

const setUp = (maxLogins: number) => {
  const open: PromiseWithResolvers<void>[] = []
  let shed = 0
  const authenticate = shareLogins(
    async () => {
      const one = Promise.withResolvers<void>()
      open.push(one)
      await one.promise
      return { identity: alice, bearerToken: undefined }
    },
    { maxLogins, observeShed: () => void shed++ },
  )
  return { authenticate, open, shed: () => shed }
}

await t.test('attack: one address with all concurrent logins: another one logs in', async (test) => {
  const { authenticate, open, shed } = setUp(8)
  const all = Array.from({ length: 20 }, async () => await authenticate(credential, '203.0.113.9'))
  const settled = Promise.allSettled(all)
  test.equal(open.length, 4)
  const bob = authenticate(credential, '198.51.100.7')
  test.equal(open.length, 5)
  for (const { resolve } of open) resolve()
  test.strictSame((await bob).identity, alice)
  const refused = (await settled).filter(({ status }) => status === 'rejected')
  test.equal(refused.length, 16)
  test.match(refused[0], { reason: { code: 'UNAVAILABLE', headers: { 'retry-after': '1' } } })
  test.equal(shed(), 16)
})

await t.test('the addresses of a /64 count as one; a refusal releases its share', async (test) => {
  const { authenticate, open } = setUp(4)
  const all = [1, 2, 3].map(async (n) => await authenticate(credential, `2001:db8::${n}`))
  const settled = Promise.allSettled(all)
  test.equal(open.length, 2)
  open[0]?.reject(new Error('no'))
  open[1]?.resolve()
  test.same(
    (await settled).map(({ status }) => status),
    ['rejected', 'fulfilled', 'rejected'],
  )
  const next = authenticate(credential, '2001:db8::4')
  test.equal(open.length, 3)
  open[2]?.resolve()
  await next
})
