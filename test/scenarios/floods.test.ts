/**
 * Attack: many invented tokens. The tests count what they cost the API server of app.ci, and whether other requesters notice.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { readManifests } from '../../src/sandbox/app-ci/rbac.ts'
import { accept, scenario, type Scenario } from './scenario.ts'
import { until } from '../support/until.ts'

const manifest = '/v2/ocp/4.5/manifests/base'
/** The proxy trusts this header, because the test is in the place of the router. */
const behindRouter = ['--trusted-proxies=127.0.0.1']

interface Showing {
  readonly token: string
  readonly from: string
}
const show = async (s: Scenario, { token, from }: Showing, path = '/v2/') =>
  await s.ask(path, { token, headers: { accept, 'x-forwarded-for': from } })

/** A few at a time, as a client with a connection pool sends them. */
const flood = async (s: Scenario, showings: readonly Showing[], width = 20) => {
  const statuses: Record<number, number> = {}
  const left = [...showings]
  const work = async () => {
    for (let next = left.pop(); next !== undefined; next = left.pop()) {
      const { status } = await show(s, next)
      statuses[status] = (statuses[status] ?? 0) + 1
    }
  }
  await Promise.all(Array.from({ length: width }, work))
  return statuses
}
const made = (index: number) => `sha256~made-up-${String(index).padStart(30, '0')}`

const metric = async (s: Scenario, name: string): Promise<number> => {
  const line = (await s.metrics()).split('\n').find((text) => text.startsWith(`quay_proxy_${name} `))
  return Number(line?.split(' ').at(-1) ?? 0)
}

await scenario(
  'one address, 1,000 made-up tokens: a limited number of reviews, and valid tokens are accepted',
  async (t, s) => {
    const bob = s.remember(s.kubernetes.issueUserToken({ username: 'bob', groups: ['qci-image-pullers'] }))
    const attacker = '203.0.113.66'
    // Alice is known already, and has the same address as the attacker.
    t.equal((await show(s, { token: s.alice, from: attacker }, manifest)).status, 200)
    const before = s.kubernetes.requests.tokenReviews
    const flooding = flood(
      s,
      Array.from({ length: 1000 }, (_, index) => ({ token: made(index), from: attacker })),
    )
    const pulls: number[] = []
    const pullOn = async () => {
      // Bob logs in for the first time during the flood, from another address.
      for (let round = 0; round < 10; round++)
        for (const person of [
          { token: s.alice, from: attacker },
          { token: bob, from: '198.51.100.7' },
        ])
          pulls.push((await show(s, person, manifest)).status)
    }
    const [statuses] = await Promise.all([flooding, pullOn()])
    const reviews = s.kubernetes.requests.tokenReviews - before
    // A machine that is slow makes a trickle of the flood, and a trickle is reviewed.
    t.ok(reviews <= 200, `${reviews} reviews: 30, one a second, and bob's`)
    t.ok(reviews >= 30)
    t.strictSame([...new Set(pulls)], [200])
    t.strictSame(Object.keys(statuses).toSorted(), ['401', '429'])
    t.equal(statuses[401], reviews - 1, 'each refusal is one that was asked for')
    t.equal(await metric(s, 'logins_limited_total{reason="address"}'), 1000 - (statuses[401] ?? 0))
    const more = await Promise.all(
      Array.from(
        { length: 60 },
        async (_, index) => await show(s, { token: made(5000 + index), from: attacker }),
      ),
    )
    const limited = more.filter(({ status }) => status === 429)
    t.ok(limited.length >= 30, `${limited.length}: the newest few wait for the one that there is each second`)
    for (const answer of limited) {
      t.equal(answer.code, 'TOOMANYREQUESTS')
      t.match(answer.message, /^too many logins from your address .* check yours with oc whoami/)
      t.match(answer.headers.get('retry-after'), /^[1-9]\d*$/)
      t.equal(answer.headers.get('www-authenticate'), null)
    }
    // Trap 14: docker takes a 429 on its ping as a registry without a login, and shows no message.
    t.equal((await s.ask('/v2/', { headers: { 'x-forwarded-for': attacker } })).status, 401)
  },
  behindRouter,
)

await scenario(
  'one made-up token, 200 times: one review',
  async (t, s) => {
    const showings = Array.from({ length: 200 }, () => ({ token: made(0), from: '203.0.113.66' }))
    t.strictSame(await flood(s, showings), { 401: 200 })
    t.equal(s.kubernetes.requests.tokenReviews, 1)
  },
  behindRouter,
)

await scenario(
  'a thousand addresses: a limited number of reviews, and addresses with an earlier login have their own limit',
  async (t, s) => {
    t.equal((await show(s, { token: s.alice, from: '198.51.100.7' })).status, 200)
    const start = performance.now()
    const statuses = await flood(
      s,
      Array.from({ length: 1000 }, (_, index) => ({
        token: made(index),
        from: `10.9.${index >> 8}.${index & 255}`,
      })),
      700,
    )
    const seconds = (performance.now() - start) / 1000
    t.ok((statuses[401] ?? 0) <= 100 + 50 * seconds + 1, JSON.stringify({ statuses, seconds }))
    t.ok((statuses[429] ?? 0) > 0)
    // In the office of alice one person logs in for the first time, and another mistypes the token.
    const carol = s.remember(
      s.kubernetes.issueUserToken({ username: 'carol', groups: ['qci-image-pullers'] }),
    )
    const office = '198.51.100.7'
    t.equal((await show(s, { token: made(5000), from: office })).status, 401)
    t.equal((await show(s, { token: carol, from: office }, manifest)).status, 200)
  },
  behindRouter,
)

await scenario('without trusted proxies the address is that of the connection', async (t, s) => {
  const showings = Array.from({ length: 60 }, (_, index) => ({
    token: made(index),
    from: `10.0.0.${index}`,
  }))
  const statuses = await flood(s, showings)
  t.ok((statuses[429] ?? 0) > 0, 'they are one address')
})

/** The timeout of the test bounds the wait. */
await scenario(
  '200 new tokens while the API server is slow: a limited number of reviews, and known identities do not wait',
  async (t, s) => {
    const inFlight = 'reviews_in_flight{queue="TokenReview"}'
    t.equal((await show(s, { token: s.alice, from: '198.51.100.7' }, manifest)).status, 200)
    const before = s.kubernetes.requests.tokenReviews
    const tokens = Array.from({ length: 200 }, (_, index) =>
      s.remember(s.kubernetes.issueUserToken({ username: `user-${index}`, groups: [] })),
    )
    s.kubernetes.fault({ kind: 'slow', delayMs: 1500 })
    const all = flood(
      s,
      tokens.map((token, index) => ({ token, from: `10.9.0.${index}` })),
      200,
    )
    await until(() => s.kubernetes.requests.tokenReviews - before === 64)
    t.equal(await metric(s, inFlight), 64)
    t.equal((await show(s, { token: s.alice, from: '198.51.100.7' }, manifest)).status, 200)
    t.equal(s.kubernetes.requests.tokenReviews - before, 64, 'alice is known: none of the 64 is answered yet')
    let most = 0
    // Until the last of them has its answer.
    do {
      most = Math.max(most, await metric(s, inFlight))
      await sleep(20)
    } while ((await metric(s, inFlight)) > 0)
    const statuses = await all
    t.ok(most <= 64, String(most))
    t.equal((statuses[200] ?? 0) + (statuses[503] ?? 0), 200, 'valid ones are accepted or told to come again')
    t.ok((statuses[200] ?? 0) >= 64, JSON.stringify(statuses))
    t.equal(await metric(s, inFlight), 0)
  },
  behindRouter,
)

await scenario(
  'an office that logs in at once after a restart: logins wait, and none is refused',
  async (t, s) => {
    const showings = Array.from({ length: 100 }, (_, index) => ({
      token: s.remember(s.kubernetes.issueUserToken({ username: `user-${index}`, groups: [] })),
      from: '198.51.100.7',
    }))
    s.kubernetes.fault({ kind: 'slow', delayMs: 50 })
    t.strictSame(await flood(s, showings, 100), { 200: 100 })
  },
  behindRouter,
)

await scenario(
  'behind a router all clients have one address: 60 expired logins at once, and new logins succeed',
  async (t, s) => {
    const from = '198.51.100.7'
    const expired = Array.from({ length: 60 }, (_, index) => ({ token: made(index), from }))
    const newcomers = Array.from({ length: 3 }, (_, index) => ({
      token: s.remember(
        s.kubernetes.issueUserToken({ username: `user-${index}`, groups: ['qci-image-pullers'] }),
      ),
      from,
    }))
    const flooding = flood(s, expired, 60)
    // All requests have arrived: 30 were reviewed, the newest 16 wait, and the others got 429.
    while ((await metric(s, 'logins_limited_total{reason="address"}')) < 13) await sleep(20)
    const trickle: Promise<unknown>[] = []
    for (const newcomer of newcomers) {
      t.equal((await show(s, newcomer, manifest)).status, 200)
      for (const index of [1, 2, 3])
        trickle.push(show(s, { token: made(1000 + 10 * newcomers.indexOf(newcomer) + index), from }))
    }
    await Promise.all(trickle)
    await flooding
  },
  behindRouter,
)

await scenario(
  'attack: endless requests of one person without access. Others are served, and a revocation takes effect',
  async (t, s) => {
    const people = Array.from({ length: 3 }, (_, index) =>
      s.remember(s.kubernetes.issueUserToken({ username: `user-${index}`, groups: ['qci-image-pullers'] })),
    )
    const ask = async (token: string, path = manifest) =>
      (await s.ask(path, { token, headers: { accept } })).status
    t.equal(await ask(s.alice), 200)
    t.equal(await ask(s.mallory), 403)
    s.kubernetes.fault({ kind: 'slow', delayMs: 300 })
    const flooder = { isOver: false }
    let asked = 0
    const statuses = new Set<number>()
    const work = async () => {
      while (!flooder.isOver) statuses.add(await ask(s.mallory, `/v2/made-up-${asked++}/a/manifests/t`))
    }
    const flooding = Array.from({ length: 150 }, work)
    await until(() => asked > 300)
    t.strictSame(await Promise.all(people.map((token) => ask(token))), [200, 200, 200])
    const objects = await readManifests('manifests/rbac')
    s.kubernetes.replaceObjects(
      objects.filter(
        ({ metadata }) => metadata?.name !== 'qci-image-puller' || metadata.namespace === undefined,
      ),
    )
    const revokedAt = performance.now()
    let status = 200
    while (status === 200) {
      status = await ask(s.alice)
      await sleep(20)
    }
    t.ok(
      performance.now() - revokedAt < 60_000,
      'a yes lives for a second, and under no flood for the grace of five minutes',
    )
    t.equal(s.lines().filter(({ source }) => source === 'grace').length, 0)
    flooder.isOver = true
    await Promise.all(flooding)
    t.notOk(statuses.has(200))
  },
  ['--allow-ttl=1s'],
)
