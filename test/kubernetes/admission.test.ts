import t from 'tap'
import { createAdmission, type Outcome } from '../../src/kubernetes/admission.ts'

const setUp = () => {
  let now = 0
  const limited: string[] = []
  const admit = createAdmission({ observeLimited: (limit) => void limited.push(limit), now: () => now })
  const show = async (client: string, outcome: Outcome, count = 1) => {
    for (let index = 0; index < count; index++) (await admit(client))(outcome)
  }
  return { admit, show, limited, pass: (milliseconds: number) => void (now += milliseconds) }
}
const settled = async (promise: Promise<unknown>) =>
  await Promise.race([
    promise.then(
      () => 'in',
      (error: { code: string }) => error.code,
    ),
    new Promise((resolve) => setImmediate(() => resolve('waiting'))),
  ])

await t.test('an address pays for what was refused, and for nothing else', async (test) => {
  const { show, limited, pass } = setUp()
  await show('10.0.0.1', 'accepted', 100)
  await show('10.0.0.1', 'unanswered', 100)
  await show('10.0.0.1', 'refused', 30)
  await test.rejects(show('10.0.0.1', 'refused'), {
    code: 'TOOMANYREQUESTS',
    status: 429,
    headers: { 'retry-after': '1' },
    message: /^too many logins from your address that the app.ci cluster does not accept; .* in 1 s$/,
  })
  await show('10.0.0.2', 'refused')
  test.strictSame(limited, ['address'])
  pass(3000)
  await show('10.0.0.1', 'refused', 3)
  await test.rejects(show('10.0.0.1', 'refused'), { code: 'TOOMANYREQUESTS' })
})

await t.test(
  'where a place is held by a review in flight, the next one waits for what becomes of it',
  async (test) => {
    for (const [outcome, then] of [
      ['accepted', 'in'],
      ['refused', 'TOOMANYREQUESTS'],
    ] as const) {
      const { admit } = setUp()
      const held = await Promise.all(Array.from({ length: 30 }, async () => await admit('10.0.0.1')))
      const next = admit('10.0.0.1')
      test.equal(await settled(next), 'waiting')
      for (const settle of held) settle(outcome)
      test.equal(await settled(next), then)
    }
  },
)

await t.test('those who wait are let in one by one', async (test) => {
  const { admit } = setUp()
  const held = await Promise.all(Array.from({ length: 30 }, async () => await admit('10.0.0.1')))
  const [first, second] = [admit('10.0.0.1'), admit('10.0.0.1')]
  held[0]?.('unanswered')
  test.equal(await settled(first), 'in')
  test.equal(await settled(second), 'waiting')
  held[1]?.('unanswered')
  test.equal(await settled(second), 'in')
})

await t.test('only so many wait', async (test) => {
  const { admit, limited } = setUp()
  await Promise.all(Array.from({ length: 30 }, async () => await admit('10.0.0.1')))
  for (let index = 0; index < 512; index++) void admit('10.0.0.1')
  await test.rejects(admit('10.0.0.1'), { code: 'UNAVAILABLE', headers: { 'retry-after': '1' } })
  test.strictSame(limited, ['waiting'])
  test.equal(await settled(admit('10.0.0.2')), 'in', 'whoever need not wait is let in')
})

await t.test(
  'all addresses together pay as well, those at which somebody was accepted apart from the others',
  async (test) => {
    const { show, limited, pass } = setUp()
    await show('192.0.2.1', 'accepted')
    for (let address = 0; address < 100; address++) await show(`10.0.0.${address}`, 'refused')
    await test.rejects(show('10.0.1.1', 'refused'), {
      code: 'TOOMANYREQUESTS',
      message: /^too many logins that the app.ci cluster/,
    })
    test.strictSame(limited, ['everybody'])
    await show('192.0.2.1', 'refused', 30)
    await test.rejects(show('192.0.2.1', 'refused'), { code: 'TOOMANYREQUESTS' }, 'within its own limit')
    pass(20)
    await show('10.0.1.1', 'refused')
  },
)

await t.test('strangers are limited however many they are', async (test) => {
  const { show, pass } = setUp()
  let reviews = 0
  for (let second = 0; second < 10; second++) {
    for (let index = 0; index < 500; index++)
      await show(`10.${second}.${index >> 8}.${index & 255}`, 'refused').then(
        () => reviews++,
        () => undefined,
      )
    pass(1000)
  }
  test.ok(reviews <= 100 + 9 * 50, String(reviews))
})

await t.test('one address, however it is written; one IPv6 network', async (test) => {
  for (const [full, same, other] of [
    ['10.0.0.1', '::ffff:10.0.0.1', '10.0.0.2'],
    ['2001:db8::1', '2001:db8:0:0:ffff::2', '2001:db8:0:1::1'],
    ['not an address', 'another word', '10.0.0.1'],
  ] as const) {
    const { show } = setUp()
    await show(full, 'refused', 30)
    await test.rejects(show(same, 'refused'), { code: 'TOOMANYREQUESTS' }, same)
    await show(other, 'refused')
  }
})

await t.test('the clock of the machine unless told', async (test) => {
  const admit = createAdmission({ observeLimited: () => undefined })
  ;(await admit('10.0.0.1'))('refused')
  test.equal(typeof (await admit('10.0.0.1')), 'function')
})
