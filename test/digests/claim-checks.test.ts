import t from 'tap'
import { createClaimChecks, type ClaimChecksOptions } from '../../src/digests/claim-checks.ts'
import type { QciTag } from '../../src/oci/reference.ts'
import { digestOf, isPrivate } from './fixtures.ts'

const image = digestOf('image')
const minuteMs = 60_000

const setUp = (namespaces: readonly string[], more: Partial<ClaimChecksOptions> = {}) => {
  const clock = { now: 1 }
  const fetched: QciTag[] = []
  const options: ClaimChecksOptions = {
    claimsOf: () => namespaces.map((namespace) => ({ namespace, name: '4.15', tag: 'base' })),
    isRestricted: isPrivate,
    hasTagsOf: (namespace) => namespace !== 'mallory-priv',
    hasFollowedAll: () => true,
    now: () => clock.now,
    ...more,
  }
  const checks = createClaimChecks(options)
  const check = async () => await checks.check(image, async (tag) => void fetched.push(tag))
  return { ...checks, options, check, clock, fetched }
}

await t.test('only a claim of a restricted namespace with tags in QCI closes a digest', async (test) => {
  const rows = [
    [[], []],
    [['ocp'], []],
    [['mallory-priv'], []],
    [['ocp-priv'], ['ocp-priv_4.15_base']],
    [
      ['ocp', 'ocp-priv', 'mallory-priv', 'more-priv'],
      ['ocp-priv_4.15_base', 'more-priv_4.15_base'],
    ],
  ] as const
  for (const [namespaces, tags] of rows) {
    const { isClaimed, closingClaims, check, fetched } = setUp(namespaces)
    test.equal(isClaimed(image), tags.length > 0)
    test.strictSame(closingClaims(image), tags)
    await check()
    test.strictSame(fetched, tags)
  }
})

await t.test(
  'a claim that was checked does not count for ten minutes, because a tag may move to it',
  async (test) => {
    const { isClaimed, check, clock, fetched } = setUp(['ocp-priv'])
    await check()
    await check()
    test.strictSame([isClaimed(image), fetched.length], [false, 1])
    clock.now += 10 * minuteMs + 1
    test.equal(isClaimed(image), true)
    await check()
    test.equal(fetched.length, 2)
  },
)

await t.test('a claim that a replaced image may justify still closes', async (test) => {
  const { isClaimed, check } = setUp(['ocp-priv'], { hasFollowedAll: () => false })
  await check()
  test.equal(isClaimed(image), true)
})

await t.test('attack: with more claims than are checked, the digest stays closed', async (test) => {
  const { isClaimed, check, fetched } = setUp(Array.from({ length: 9 }, (_, number) => `n${number}-priv`))
  await check()
  test.strictSame([isClaimed(image), fetched.length], [true, 8])
})

await t.test('a digest whose check fails stays closed, and the failure is an error', async (test) => {
  const { options, isClaimed } = setUp(['ocp-priv'])
  const checks = createClaimChecks(options)
  const away = async () => await Promise.reject(new Error('unavailable'))
  await test.rejects(checks.check(image, away), { message: 'unavailable' })
  test.strictSame([checks.isClaimed(image), isClaimed(image)], [true, true])
})

await t.test('the clock is monotonic unless given', async (test) => {
  const checks = createClaimChecks({
    claimsOf: () => [{ namespace: 'ocp-priv', name: 'a', tag: 'b' }],
    isRestricted: isPrivate,
    hasTagsOf: () => true,
    hasFollowedAll: () => true,
  })
  await checks.check(image, async () => undefined)
  test.equal(checks.isClaimed(image), false)
})
