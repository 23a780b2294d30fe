import t from 'tap'
import { RegistryError } from '../../../src/oci/errors.ts'
import { UpstreamRateLimited } from '../../../src/upstream/errors.ts'
import { createRetry } from '../../../src/upstream/resilience/retry.ts'
import type { RobotCredential } from '../../../src/secrets/robot-credential.ts'
import type { RobotOptions } from '../../../src/upstream/robot/robot-token.ts'
import { quayFor, robot as account } from '../../sandbox/quay/quay-client.ts'
import { everythingIn, failure, robotFor, told, until } from '../upstream.ts'
import { granted, loginsAt, scriptedRobot } from './scripted-robot.ts'

await t.test('trap 40: 20 requests at once cause one login, with one scope per parameter', async (test) => {
  const quay = await quayFor(test)
  const { robot, refusals } = robotFor(test, quay.url)
  test.equal(robot.attempted(), false)
  const headers = await Promise.all(Array.from({ length: 20 }, () => robot.authorization()))
  test.equal(new Set(headers).size, 1)
  test.match(headers[0], /^Bearer ey[\w-]+\.[\w-]+\.[\w-]+$/)
  test.equal(robot.attempted(), true)
  const { host } = new URL(quay.url)
  const login = new URLSearchParams({ service: host, scope: 'repository:openshift/ci:pull' })
  test.strictSame(
    quay.requests.map(({ url, headers: { authorization } }) => [url, authorization?.split(' ')[0]]),
    [
      ['/v2/', undefined],
      [`/v2/auth?${login}`, 'Basic'],
    ],
  )
  test.equal(await robot.authorization(), headers[0])
  test.equal(quay.requests.length, 2, 'and none later')
  test.strictSame(refusals, [])
})

await t.test('trap 40: a token is refreshed before it expires, while the old one is used', async (test) => {
  let clock = Date.UTC(2026, 0, 1)
  const now = () => clock
  for (const [tokenLifetimeSeconds, refreshAfter] of [
    [3600, 3300],
    [60, 22.5],
  ] as const) {
    const quay = await quayFor(test, { now, tokenLifetimeSeconds })
    const { robot } = robotFor(test, quay.url, { now })
    const first = await robot.authorization()
    clock += refreshAfter * 1000 - 1
    test.equal(await robot.authorization(), first)
    test.equal(loginsAt(quay).length, 1)
    clock += 1
    test.equal(await robot.authorization(), first, 'nobody waits')
    test.equal(await robot.authorization(), first, 'and nobody fetches beside it')
    let next = first
    for (; next === first; next = await robot.authorization()) await until(() => true)
    test.match(next, /^Bearer /)
    test.equal(loginsAt(quay).length, 2)
  }
})

await t.test('a failed refresh shows only when the old token has expired', async (test) => {
  let clock = Date.UTC(2026, 0, 1)
  const now = () => clock
  const quay = await quayFor(test, { now })
  const { robot } = robotFor(test, quay.url, { now })
  const first = await robot.authorization()
  quay.fault({ origin: 'quay', path: /auth/, status: 500, count: Infinity })
  clock += 3_400_000
  test.equal(await robot.authorization(), first)
  await until(() => loginsAt(quay).length === 2 && loginsAt(quay).every(({ status }) => status !== 0))
  clock += 169_999
  test.equal(await robot.authorization(), first)
  clock += 1
  test.equal(told(await failure(robot.authorization())), '503 UNAVAILABLE 5')
  quay.clearFaults()
  clock += 2000
  test.not(await robot.authorization(), first)
})

await t.test('trap 40: a failure is cached briefly, or until the credential changes', async (test) => {
  let clock = Date.UTC(2026, 0, 1)
  let credential: RobotCredential = { ...account, password: 'secret' }
  const quay = await quayFor(test, { now: () => clock })
  const { robot, refusals } = robotFor(test, quay.url, { now: () => clock, credential: () => credential })
  const errors = await Promise.all(Array.from({ length: 20 }, () => failure(robot.authorization())))
  const [first = new RegistryError('DENIED', 'none')] = errors
  test.equal(new Set(errors).size, 1)
  test.equal(told(first), '503 UNAVAILABLE 30')
  test.match(first.cause, new Error('token endpoint answered 401'))
  test.notMatch(everythingIn(first), /secret|Basic|realm=/)
  test.equal(robot.attempted(), true)
  clock += 1999
  test.equal(await failure(robot.authorization()), first)
  test.equal(quay.requests.length, 2)
  test.equal(refusals.length, 1)
  clock += 1
  await failure(robot.authorization())
  test.equal(loginsAt(quay).length, 2)
  credential = account
  test.match(await robot.authorization(), /^Bearer /)
  test.strictSame(refusals, ['token endpoint answered 401', 'token endpoint answered 401'])
})

await t.test('a rejected token is fetched again; a newer one is kept', async (test) => {
  let clock = Date.UTC(2026, 0, 1)
  const quay = await quayFor(test, { now: () => clock })
  const { robot } = robotFor(test, quay.url, { now: () => clock })
  const first = await robot.authorization()
  clock += 1000
  robot.invalidate(first)
  const second = await robot.authorization()
  test.not(second, first)
  robot.invalidate(first)
  robot.invalidate(undefined)
  test.equal(await robot.authorization(), second)
  test.equal(loginsAt(quay).length, 2)
})

await t.test(
  'after a change of the credential, tokens of the old one are not used any more',
  async (test) => {
    let clock = Date.UTC(2026, 0, 1)
    const quay = await quayFor(test, { now: () => clock })
    const { robot } = robotFor(test, quay.url, { now: () => clock })
    const first = await robot.authorization()
    clock += 1000
    robot.reset()
    test.not(await robot.authorization(), first)
  },
)

await t.test(
  'if the credential changes during a login, only the callers that wait for it get its result',
  async (test) => {
    for (const outcome of ['accepted', 'refused'] as const) {
      const old: RobotCredential = { username: 'old', password: 'a' }
      let credential = old
      let release: (() => void) | undefined
      const get: RobotOptions['get'] = async (url, authorization) => {
        if (url.pathname === '/v2/')
          return { status: 401, body: '', challenge: 'Bearer realm="https://quay.io/v2/auth"' }
        const [username] = Buffer.from(authorization?.split(' ')[1] ?? '', 'base64')
          .toString()
          .split(':')
        if (username === 'new') return granted({ token: 'new' })
        await new Promise<void>((resolve) => (release = resolve))
        return outcome === 'accepted' ? granted({ token: 'old' }) : { status: 401, body: '' }
      }
      const { robot } = scriptedRobot(new Error('unused'), { get, credential: () => credential })
      const waiting = robot.authorization().catch((error: unknown) => error)
      await until(() => release !== undefined)
      credential = { username: 'new', password: 'b' }
      robot.reset()
      test.equal(await robot.authorization(), 'Bearer new', 'nobody joins the old login')
      release?.()
      test.match(await waiting, outcome === 'accepted' ? 'Bearer old' : { code: 'UNAVAILABLE' })
      test.equal(await robot.authorization(), 'Bearer new')
    }
  },
)

await t.test('trap 40: after a 429 the robot waits for as long as upstream says', async (test) => {
  const rows = [
    [undefined, '5', 2000],
    ['0', '0', 2000],
    ['7', '7', 7000],
    ['3600', '60', 60_000],
  ] as const
  for (const path of ['/v2/', '/v2/auth'])
    for (const [retryAfter, told429, pauseMs] of rows) {
      let clock = 0
      let asked = 0
      const get: RobotOptions['get'] = async ({ pathname }) => {
        if (pathname !== path)
          return { status: 401, body: '', challenge: 'Bearer realm="https://quay.io/v2/auth"' }
        asked++
        return { status: 429, body: '', ...(retryAfter === undefined ? {} : { retryAfter }) }
      }
      const { robot, refusals } = scriptedRobot(new Error('unused'), { get, now: () => clock })
      const error = await failure(robot.authorization())
      test.equal(told(error), `429 TOOMANYREQUESTS ${told429}`)
      test.ok(error instanceof UpstreamRateLimited)
      clock = pauseMs - 1
      test.equal(await failure(robot.authorization()), error)
      test.equal(asked, 1)
      clock = pauseMs
      await failure(robot.authorization())
      test.equal(asked, 2)
      test.strictSame(refusals, [])
    }
})

await t.test('a transient error of the realm is retried for all callers; a refusal is not', async (test) => {
  const quay = await quayFor(test)
  const retry = createRetry()
  const { robot } = robotFor(test, quay.url, { retry })
  quay.fault({ origin: 'quay', path: /auth/, status: 502 })
  quay.fault({ origin: 'quay', path: /auth/, reset: true })
  const headers = await Promise.all(Array.from({ length: 20 }, () => robot.authorization()))
  test.equal(new Set(headers).size, 1)
  test.equal(loginsAt(quay).length, 3)
  const refused = robotFor(test, quay.url, { retry, credential: () => ({ ...account, password: 'wrong' }) })
  test.equal(told(await failure(refused.robot.authorization())), '503 UNAVAILABLE 30')
  test.equal(loginsAt(quay).length, 4)
})
