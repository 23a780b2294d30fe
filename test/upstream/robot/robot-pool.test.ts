import { decodeJwt, SignJWT } from 'jose'
import t from 'tap'
import type { Test } from 'tap'
import { UpstreamRateLimited, TransientUpstreamError, UpstreamTimeout } from '../../../src/upstream/errors.ts'
import { createRetry } from '../../../src/upstream/resilience/retry.ts'
import type { RobotCredential } from '../../../src/secrets/robot-credential.ts'
import { createUpstreamClient } from '../../../src/upstream/client/client.ts'
import { createNetwork } from '../../../src/upstream/client/network.ts'
import { createRobotPool, type RobotPoolOptions } from '../../../src/upstream/robot/robot-pool.ts'
import type { RobotLease } from '../../../src/upstream/request.ts'
import { quayFor } from '../../sandbox/quay/quay-client.ts'
import { settled } from '../../concurrency/fake-clock.ts'
import { everythingIn, failure, manifestRequest, told, until } from '../upstream.ts'

const account = (username: string): RobotCredential => ({ username, password: `secret-of-${username}` })
const accounts = (count: number) => ['a', 'b', 'c'].slice(0, count).map(account)

/** A token as quay gives it to a robot without the right. */
const emptyGrant = async (): Promise<string> =>
  await new SignJWT({ access: [] }).setProtectedHeader({ alg: 'HS256' }).sign(new Uint8Array(32))

/** What the realm gives each robot: a new token each time, until something else is said. */
type Answer = { status: number; body?: string; retryAfter?: string } | Error

const poolOf = (count: number, options: Partial<RobotPoolOptions> = {}) => {
  const clock = { now: Date.UTC(2026, 0, 1) }
  const state = { credentials: accounts(count) }
  const answers: Record<string, Answer> = {}
  const logins: string[] = []
  const alarms: string[] = []
  const robots = createRobotPool({
    credentials: () => state.credentials,
    upstream: new URL('https://quay.io'),
    repository: 'openshift/ci',
    get: async (url, authorization) => {
      if (url.pathname === '/v2/')
        return { status: 401, body: '', challenge: 'Bearer realm="https://quay.io/v2/auth"' }
      const [username = ''] = Buffer.from(authorization?.split(' ')[1] ?? '', 'base64')
        .toString()
        .split(':')
      logins.push(username)
      const token = `${username}${logins.filter((name) => name === username).length}`
      const answer = answers[username] ?? { status: 200, body: JSON.stringify({ token, expires_in: 3600 }) }
      if (answer instanceof Error) throw answer
      return { body: '', ...answer }
    },
    onRefused: (reason) => void alarms.push(reason),
    now: () => clock.now,
    ...options,
  })
  const leases = new Map<string | undefined, RobotLease>()
  const tokenOf = (lease: RobotLease | undefined) => {
    const token = lease?.authorization?.replace('Bearer ', '')
    if (lease !== undefined) leases.set(token, lease)
    return token
  }
  const take = async () => tokenOf(await robots.acquire())
  const takeMany = async (times: number) => {
    const tokens: (string | undefined)[] = []
    for (let time = 0; time < times; time++) {
      tokens.push(await take())
      await settled()
    }
    return tokens
  }
  /** Upstream rejects the token of a request. @returns the next one that the request gets */
  const refuse = async (token: string) => tokenOf(await leases.get(token)?.rejected())
  return { clock, state, answers, logins, alarms, robots, take, takeMany, refuse }
}

await t.test('requests go to the robots in turn; each logs in once, before it is needed', async (test) => {
  const { robots, logins, takeMany } = poolOf(3)
  test.equal(robots.attempted(), false)
  const first = await robots.acquire()
  await settled()
  test.equal(first.authorization, 'Bearer a1')
  test.strictSame(logins, ['a', 'b', 'c'])
  test.equal(robots.attempted(), true)
  test.strictSame(await takeMany(5), ['b1', 'c1', 'a1', 'b1', 'c1'])
  const many = await Promise.all(Array.from({ length: 300 }, () => robots.acquire()))
  for (const token of ['a1', 'b1', 'c1'])
    test.equal(many.filter(({ authorization }) => authorization === `Bearer ${token}`).length, 100)
  test.equal(logins.length, 3)
})

await t.test('a pool of one robot works as that robot', async (test) => {
  const { takeMany, refuse, answers, take, clock, alarms } = poolOf(1)
  test.strictSame(await takeMany(2), ['a1', 'a1'])
  test.equal(await refuse('a1'), 'a2')
  test.equal(await refuse('a2'), undefined, 'fresh, and there is no other')
  test.equal(await take(), 'a3')
  test.strictSame(alarms, [], 'it is for who asked with it to tell')
  clock.now += 3_600_000
  answers['a'] = { status: 401 }
  test.equal(told(await failure(take())), '503 UNAVAILABLE 30')
  test.strictSame(alarms, ['a: token endpoint answered 401'])
})

await t.test('a refused robot is reported by its name, and the others go on', async (test) => {
  for (const answer of [
    { status: 401 },
    { status: 200, body: JSON.stringify({ token: await emptyGrant() }) },
  ]) {
    const { answers, alarms, takeMany, logins, clock } = poolOf(3)
    answers['b'] = answer
    test.strictSame(await takeMany(6), ['a1', 'c1', 'a1', 'c1', 'a1', 'c1'])
    test.equal(alarms.length, 1)
    test.match(alarms[0], /^b: .*; 2 of 3 robots go on$/)
    test.notMatch(alarms[0], /secret/)
    test.equal(logins.length, 3)
    // Tried again beside the others, once each time.
    clock.now += 30_000
    test.notOk((await takeMany(4)).includes('b2'))
    test.equal(logins.length, 4)
    delete answers['b']
    clock.now += 30_000
    await takeMany(2)
    test.equal(logins.length, 5)
    test.equal((await takeMany(3)).filter((token) => token?.startsWith('b')).length, 1, 'and is back')
  }
})

await t.test(
  'if all robots fail, the request fails, with a transient error if there is one',
  async (test) => {
    const { answers, take, logins, clock } = poolOf(3)
    answers['a'] = { status: 401 }
    answers['b'] = { status: 429, retryAfter: '40' }
    answers['c'] = { status: 403 }
    const error = await failure(take())
    test.ok(error instanceof UpstreamRateLimited)
    test.equal(told(error), '429 TOOMANYREQUESTS 40')
    test.notMatch(everythingIn(error), /secret/)
    await failure(take())
    test.equal(logins.length, 3, 'not tried by every request')
    clock.now += 39_000
    await failure(take())
    test.strictSame(logins.slice(3).toSorted(), ['a', 'c'], 'and the limited one not before its time')
    answers['b'] = { status: 502 }
    clock.now += 1000
    test.ok((await failure(take())) instanceof TransientUpstreamError)
  },
)

await t.test('a request waits for a hanging realm once, and not once for each robot', async (test) => {
  const timeout = new UpstreamTimeout()
  let asked = 0
  const { take } = poolOf(3, {
    get: async () => {
      asked++
      throw timeout
    },
  })
  test.equal(await failure(take()), timeout)
  await settled()
  test.equal(asked, 3, 'side by side')

  const { takeMany, take: takeOne, answers, logins, clock } = poolOf(2)
  await takeMany(2)
  // Both tokens are over, and it is the turn of the first robot.
  clock.now += 3_600_000
  answers['a'] = timeout
  test.equal(await failure(takeOne()), timeout)
  test.strictSame(logins, ['a', 'b', 'a'], 'nor in one request after another')
})

await t.test('a rejected token: all requests with it get a fresh token of the same robot', async (test) => {
  const { take, takeMany, refuse, logins } = poolOf(2)
  test.strictSame(await takeMany(2), ['a1', 'b1'])
  for (let request = 0; request < 3; request++) test.equal(await refuse('a1'), 'a2')
  test.equal(await take(), 'a2')
  test.equal(await refuse('b1'), 'b2')
  test.strictSame(logins, ['a', 'b', 'a', 'b'])
})

await t.test('a rejected fresh token: another robot is used, now and the next time', async (test) => {
  const { takeMany, refuse, alarms, clock } = poolOf(2)
  await takeMany(2)
  test.equal(await refuse('a1'), 'a2')
  test.equal(await refuse('a2'), 'b1')
  test.strictSame(await takeMany(3), ['b1', 'b1', 'b1'])
  test.strictSame(alarms, ['a: a request with a fresh robot token was answered 401; 1 of 2 robots go on'])
  clock.now += 30_000
  await takeMany(2)
  const back = await takeMany(2)
  test.ok(back.includes('a3'))
  test.equal(await refuse('a3'), 'b1', 'nobody fails for it again')
  test.equal(await refuse('b1'), 'b2')
  test.equal(await refuse('b2'), undefined, 'the last one')
})

await t.test('a robot without its right: no fresh token comes, and another robot is used', async (test) => {
  const { answers, takeMany, refuse, alarms } = poolOf(2)
  await takeMany(2)
  answers['a'] = { status: 200, body: JSON.stringify({ token: await emptyGrant() }) }
  test.equal(await refuse('a1'), 'b1')
  test.strictSame(alarms, ['a: the robot may not pull openshift/ci; 1 of 2 robots go on'])
})

await t.test('when credentials change, an unchanged robot keeps its token', async (test) => {
  const { state, robots, takeMany, refuse, logins } = poolOf(2)
  await takeMany(2)
  state.credentials = [account('b'), { username: 'a', password: 'another' }, account('c')]
  robots.reset()
  test.equal(robots.attempted(), true)
  test.strictSame(new Set(await takeMany(3)), new Set(['a2', 'b1', 'c1']))
  test.strictSame(logins, ['a', 'b', 'a', 'c'])
  test.ok(await refuse('a1'), 'a request with the token of a replaced robot goes on with another')
  test.equal(logins.length, 4, 'and no healthy robot logs in again')
})

await t.test('an upstream without logins needs no robot', async (test) => {
  const { robots } = poolOf(2, { get: async () => ({ status: 200, body: '' }) })
  const lease = await robots.acquire()
  test.equal(lease.authorization, undefined)
  test.match(await lease.rejected(), { authorization: undefined })
})

/** Over sockets, with the client that puts the robots' tokens on. */
const connect = async (test: Test, count: number) => {
  const pool = accounts(count)
  const quay = await quayFor(test, { robot: account('a') })
  quay.setRobot(account('a'), ...pool.slice(1))
  const alarms: string[] = []
  const origin = new URL(quay.url)
  const network = createNetwork({ origin, maxConnections: 10, observe: () => undefined })
  test.teardown(network.close)
  const robot = createRobotPool({
    credentials: () => pool,
    upstream: origin,
    repository: 'openshift/ci',
    get: network.get,
    retry: createRetry(),
    onRefused: (reason) => void alarms.push(reason),
  })
  const send = createUpstreamClient({ origin, network, robot, onRefused: () => undefined })
  const statusOf = async () => {
    const { status, body } = await send(manifestRequest)
    await body.discard()
    return status
  }
  /** By robot, the requests of its tokens. */
  const requestsOf = () => {
    const counts: Record<string, number> = {}
    for (const { url, headers } of quay.requests) {
      const token = headers.authorization?.replace('Bearer ', '') ?? ''
      if (!url.includes('/manifests/')) continue
      const { sub = '' } = decodeJwt(token)
      counts[sub] = (counts[sub] ?? 0) + 1
    }
    return counts
  }
  return { quay, alarms, statusOf, requestsOf }
}

await t.test('over sockets: robots are used in turn, and an expired token fails no request', async (test) => {
  const { quay, alarms, statusOf, requestsOf } = await connect(test, 2)
  const many = await Promise.all(Array.from({ length: 40 }, statusOf))
  test.ok(many.every((status) => status === 404))
  test.strictSame(requestsOf(), { a: 20, b: 20 })
  for (let robot = 0; robot < 2; robot++) {
    quay.fault({ origin: 'quay', path: /manifests/, expire: true })
    test.equal(await statusOf(), 404)
  }
  test.strictSame(alarms, [])
})

await t.test('over sockets: a robot whose fresh token is rejected fails no request', async (test) => {
  const { quay, alarms, statusOf, requestsOf } = await connect(test, 2)
  quay.fault({ origin: 'quay', path: /manifests/, expire: true, count: 2 })
  test.equal(await statusOf(), 404)
  test.strictSame(requestsOf(), { a: 2, b: 1 })
  test.strictSame(alarms, ['a: a request with a fresh robot token was answered 401; 1 of 2 robots go on'])
})

await t.test('over sockets: a robot without its right is reported, and no request fails', async (test) => {
  const { quay, alarms, statusOf, requestsOf } = await connect(test, 2)
  quay.setRobot({ ...account('a'), mayPull: false }, account('b'))
  for (let request = 0; request < 6; request++) test.equal(await statusOf(), 404)
  test.strictSame(requestsOf(), { b: 6 })
  test.strictSame(alarms, ['a: the robot may not pull openshift/ci; 1 of 2 robots go on'])
})

await t.test(
  'over sockets: a 502 of the realm is retried, and puts no robot into quarantine',
  async (test) => {
    const { quay, alarms, statusOf, requestsOf } = await connect(test, 2)
    quay.fault({ origin: 'quay', path: /auth/, status: 502, count: 2 })
    test.equal(await statusOf(), 404)
    await until(
      () => quay.requests.filter(({ url, status }) => url.includes('auth?') && status === 200).length === 2,
    )
    for (let request = 0; request < 5; request++) test.equal(await statusOf(), 404)
    test.strictSame(requestsOf(), { a: 3, b: 3 })
    test.strictSame(alarms, [])
  },
)

await t.test('the age is that of the oldest token; without a token there is none', async (test) => {
  const { clock, robots, takeMany } = poolOf(2)
  test.equal(robots.tokenAgeMs(), undefined)
  await takeMany(2)
  clock.now += 5000
  test.equal(robots.tokenAgeMs(), 5000)
  const open = poolOf(1, { get: async () => await Promise.resolve({ status: 200, body: '' }) })
  await open.take()
  test.equal(open.robots.tokenAgeMs(), undefined, 'upstream needs no token')
})
