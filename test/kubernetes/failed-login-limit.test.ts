import t from 'tap'
import {
  createFailedLoginLimit,
  type ChargeKind,
  type Outcome,
} from '../../src/kubernetes/failed-login-limit.ts'
import { fakeClock, settled } from '../concurrency/fake-clock.ts'

const setUp = () => {
  const clock = fakeClock()
  const limited: string[] = []
  const charged: string[] = []
  const { admit, charge } = createFailedLoginLimit({
    observeLimited: (limit) => void limited.push(limit),
    onCharge: (address, kind) => void charged.push(`${address} ${kind}`),
    clock,
  })
  const show = async (client: string, outcome: Outcome, count = 1) => {
    for (let index = 0; index < count; index++) (await admit(client))(outcome)
  }
  /** Shown at once; what became of each, as far as it is known. */
  const shown: string[] = []
  const showAtOnce = (client: string, outcome: Outcome, count: number) => {
    for (let index = 0; index < count; index++)
      void (async () => {
        try {
          const settle = await admit(client)
          shown.push(outcome)
          settle(outcome)
        } catch (error) {
          shown.push((error as { code: string }).code)
        }
      })()
  }
  const count = (what: string) => shown.filter((one) => one === what).length
  return { admit, charge, charged, show, showAtOnce, shown, count, limited, clock }
}

const fate = async (promise: Promise<unknown>) =>
  await Promise.race([
    promise.then(
      () => 'in',
      (error: { code: string }) => error.code,
    ),
    settled().then(() => 'waiting'),
  ])

await t.test('an address is charged for refusals only', async (test) => {
  const { show, showAtOnce, count, limited, clock, charged } = setUp()
  await show('10.0.0.1', 'accepted', 100)
  await show('10.0.0.1', 'unanswered', 100)
  test.strictSame(charged, [])
  await clock.pass(20_000)
  showAtOnce('10.0.0.1', 'refused', 100)
  await clock.pass(0)
  test.equal(count('refused'), 30)
  test.equal(count('TOOMANYREQUESTS'), 54, 'the newest few wait')
  test.equal(charged.length, 30)
  test.strictSame([...new Set(charged)], ['10.0.0.1 known-address'])
  await clock.pass(2500)
  test.equal(count('refused'), 32, 'one more a second')
  test.equal(count('TOOMANYREQUESTS'), 68)
  test.equal(limited.length, 68)
  test.strictSame([...new Set(limited)], ['address'])
  await show('10.0.0.2', 'refused')
})

await t.test('the message for a limited client', async (test) => {
  const { showAtOnce, admit, clock } = setUp()
  showAtOnce('10.0.0.1', 'refused', 100)
  const refused = test.rejects(admit('10.0.0.1'), {
    code: 'TOOMANYREQUESTS',
    status: 429,
    headers: { 'retry-after': '1' },
    message: /^too many logins from your address that the app.ci cluster does not accept; .* in 1 s$/,
  })
  showAtOnce('10.0.0.1', 'refused', 16)
  await clock.pass(2500)
  await refused
})

await t.test('a flood from one address causes 30 reviews, then one a second', async (test) => {
  const { showAtOnce, count, clock } = setUp()
  for (let tenth = 0; tenth < 200; tenth++) {
    showAtOnce('10.0.0.1', 'refused', 20)
    await clock.pass(100)
  }
  test.ok(count('refused') <= 30 + 20 + 1, String(count('refused')))
  await clock.pass(2500)
  test.ok(count('refused') <= 30 + 22.5 + 1, 'nor are those who still wait when it ends let in at once')
})

await t.test(
  'trickle: with 60 expired logins at once, then three a second, all valid logins are reviewed',
  async (test) => {
    for (const accepted of [true, false]) {
      const { show, showAtOnce, shown, count, clock } = setUp()
      if (accepted) await show('10.0.0.1', 'accepted')
      showAtOnce('10.0.0.1', 'refused', 60)
      await clock.pass(10)
      for (let second = 0; second < 12; second++) {
        for (let third = 0; third < 3; third++) {
          showAtOnce('10.0.0.1', 'refused', 1)
          if (third === second % 3) showAtOnce('10.0.0.1', 'accepted', 1)
          await clock.pass(333)
        }
      }
      await clock.pass(2500)
      test.equal(count('accepted'), 12, shown.join())
    }
  },
)

await t.test('a trickle for an hour: no token is limited', async (test) => {
  const { show, limited, clock } = setUp()
  for (let second = 0; second < 3600; second++) {
    await show('10.0.0.1', 'refused', 3)
    await show('10.0.0.1', 'accepted')
    await clock.pass(1000)
  }
  test.strictSame(limited, [])
})

await t.test(
  'if a review in flight holds the last place, the next token waits for its outcome',
  async (test) => {
    const { admit } = setUp()
    const held = await Promise.all(Array.from({ length: 30 }, async () => await admit('10.0.0.1')))
    const [first, second] = [admit('10.0.0.1'), admit('10.0.0.1')]
    test.equal(await fate(first), 'waiting')
    held[0]?.('unanswered')
    test.equal(await fate(first), 'in')
    test.equal(await fate(second), 'waiting')
    held[1]?.('accepted')
    test.equal(await fate(second), 'in')
  },
)

await t.test(
  'a hundred valid logins of one office wait for each other, and none is limited',
  async (test) => {
    const { admit } = setUp()
    const all = Promise.all(
      Array.from({ length: 100 }, async () => {
        const settle = await admit('10.0.0.1')
        await settled()
        settle('accepted')
      }),
    )
    test.equal((await all).length, 100)
  },
)

await t.test('reviews that never end: waiting tokens get 503, and their number is bounded', async (test) => {
  const { admit, limited, clock } = setUp()
  await Promise.all(Array.from({ length: 30 }, async () => await admit('10.0.0.1')))
  const waiting = Array.from(
    { length: 513 },
    async () => await admit('10.0.0.1').catch((error: unknown) => error),
  )
  test.match(await waiting[0], { code: 'UNAVAILABLE', headers: { 'retry-after': '1' } })
  test.strictSame(limited, ['waiting'])
  test.equal(await fate(admit('10.0.0.2')), 'in', 'whoever need not wait is let in')
  await clock.pass(2500)
  test.match(await waiting[512], { code: 'UNAVAILABLE' })
})

await t.test(
  'all addresses together are charged as well; addresses with an accepted token have a limit of their own',
  async (test) => {
    const { show, showAtOnce, admit, count, limited, clock } = setUp()
    await show('192.0.2.1', 'accepted')
    for (let address = 0; address < 100; address++) await show(`10.0.0.${address}`, 'refused')
    for (let index = 0; index < 300; index++) showAtOnce(`10.0.${index % 200}.1`, 'refused', 1)
    const newcomer = admit('10.1.1.1')
    await show('192.0.2.1', 'refused', 30)
    test.equal(await fate(newcomer), 'waiting')
    await clock.pass(100)
    test.equal(count('refused') >= 4 && count('refused') <= 5, true, 'one in 20 ms')
    await clock.pass(2500)
    test.equal(count('TOOMANYREQUESTS'), 300 - count('refused'))
    test.strictSame([...new Set(limited)], ['everybody'])
  },
)

await t.test('the message while all unknown addresses are limited', async (test) => {
  const { showAtOnce, admit, clock } = setUp()
  for (let index = 0; index < 600; index++) showAtOnce(`10.0.${index % 200}.${index >> 7}`, 'refused', 1)
  await clock.pass(0)
  const told = Array.from(
    { length: 20 },
    async () => await admit('12.0.0.1').catch((error: unknown) => error),
  )
  test.match(await told[0], { code: 'TOOMANYREQUESTS', message: /^too many logins that the app.ci cluster/ })
  await clock.pass(2500)
})

await t.test('unknown addresses are limited together', async (test) => {
  const { showAtOnce, count, clock } = setUp()
  for (let second = 0; second < 10; second++) {
    for (let index = 0; index < 500; index++)
      showAtOnce(`10.${second}.${index >> 8}.${index & 255}`, 'refused', 1)
    await clock.pass(1000)
  }
  test.ok(count('refused') <= 100 + 10 * 50, String(count('refused')))
  test.ok(count('refused') >= 100 + 9 * 50, 'and what there is goes to somebody')
})

await t.test('a token that needed two reviews is charged twice', async (test) => {
  const { admit, charged } = setUp()
  ;(await admit('10.0.0.1'))('refused', 2)
  test.strictSame(charged, ['10.0.0.1 unknown-address', '10.0.0.1 unknown-address'])
})

await t.test('charges of other replicas count, and are not published again', async (test) => {
  const one = setUp()
  const other = setUp()
  const kinds = new Set<ChargeKind>()
  one.showAtOnce('2001:db8::1', 'refused', 100)
  await one.clock.pass(0)
  for (const charge of one.charged) {
    const [address = '', kind] = charge.split(' ')
    kinds.add(kind as ChargeKind)
    other.charge(address, kind as ChargeKind)
  }
  other.showAtOnce('2001:db8::2', 'refused', 100)
  await other.clock.pass(0)
  test.equal(other.count('refused'), 16, 'a trickle is one for each replica')
  test.equal(other.charged.length, 16)
  test.strictSame([...kinds], ['unknown-address'])
})

await t.test('all spellings of an address count as one', async (test) => {
  const { showAtOnce, count, clock } = setUp()
  showAtOnce('10.0.0.1', 'refused', 100)
  await clock.pass(0)
  showAtOnce('::ffff:10.0.0.1', 'refused', 100)
  await clock.pass(0)
  test.equal(count('refused'), 30)
})

await t.test('the system clock is used, and no charge is published, unless given', async (test) => {
  const { admit } = createFailedLoginLimit({ observeLimited: () => undefined })
  ;(await admit('10.0.0.1'))('refused')
  test.equal(typeof (await admit('10.0.0.1')), 'function')
})

await t.test('a token whose turn did not come gets the limit that was in its way', async (test) => {
  const { showAtOnce, admit, charge, limited, clock } = setUp()
  showAtOnce('10.0.0.1', 'refused', 100)
  await clock.pass(50)
  // From here on there is one more every second, 50 ms after a look.
  charge('10.0.0.1', 'unknown-address')
  await clock.pass(510)
  const last = admit('10.0.0.1').catch((error: unknown) => error)
  await clock.pass(2500)
  test.match(await last, { code: 'TOOMANYREQUESTS', message: /from your address/ })
  test.equal(limited.at(-1), 'address')
})
