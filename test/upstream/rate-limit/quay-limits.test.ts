import t from 'tap'
import { ratesFor } from '../../../src/upstream/rate-limit/quay-limits.ts'
import { createTokenBucket, type Rate } from '../../../src/concurrency/token-bucket.ts'

await t.test('the rates are a little below those of quay for an address', async (test) => {
  test.strictSame(ratesFor(1), {
    manifest: { perSecond: 45, burst: 9 },
    blob: { perSecond: 45, burst: 45, onlyAfter429: true },
    tags: { perSecond: 4.5, burst: 1 },
    referrers: { perSecond: 54, burst: 1 },
  })
})

await t.test('replicas share the rates, and each can send at least one request', async (test) => {
  test.strictSame(ratesFor(3).manifest, { perSecond: 15, burst: 3 })
  test.strictSame(ratesFor(3).tags, { perSecond: 1.5, burst: 1 })
  test.strictSame(ratesFor(100).blob, { perSecond: 0.45, burst: 1, onlyAfter429: true })
})

/** The zone of an nginx with `nodelay`, as ngx_http_limit_req_module counts: whether it lets a request through. */
const zoneOf = ({ perSecond, burst }: Rate) => {
  let [excess, last] = [0, -Infinity]
  return (at: number): boolean => {
    const next = Math.max(0, excess - ((at - last) / 1000) * perSecond + 1)
    if (last !== -Infinity && next > burst) return false
    excess = last === -Infinity ? 0 : next
    last = at
    return true
  }
}

await t.test(
  'quay refuses no request at these rates, even if they bunch up, and come from several replicas',
  async (test) => {
    const zones = { manifest: [50, 10], blob: [50, 50], tags: [5, 2] } as const
    // Not by chance, and yet without a pattern.
    let seed = 1
    const random = () => (seed = (seed * 16_807) % 2_147_483_647) / 2_147_483_647
    for (const kind of ['manifest', 'blob', 'tags'] as const)
      for (const replicas of [1, 2, 3]) {
        const [perSecond, burst] = zones[kind]
        const arrivals: number[] = []
        for (let replica = 0; replica < replicas; replica++) {
          let now = 0
          const bucket = createTokenBucket(ratesFor(replicas)[kind], () => now)
          // As many as may be, for a minute; up to 15 ms on their way.
          for (; now < 60_000; now += 1) while (bucket.take()) arrivals.push(now + 15 * random())
        }
        const zone = zoneOf({ perSecond, burst })
        const refused = arrivals.toSorted((a, b) => a - b).filter((at) => !zone(at))
        test.equal(
          refused.length,
          0,
          `${kind}, ${replicas} replicas: ${refused.length} of ${arrivals.length}`,
        )
        test.ok(arrivals.length >= perSecond * 0.85 * 60, 'and what is granted is used')
      }
  },
)
