import { SignJWT } from 'jose'
import t from 'tap'
import { RegistryError } from '../../../src/oci/errors.ts'
import { UpstreamRateLimited, TransientUpstreamError } from '../../../src/upstream/errors.ts'
import { createRetry } from '../../../src/upstream/resilience/retry.ts'
import { createRobotToken } from '../../../src/upstream/robot/robot-token.ts'
import type { RobotCredential } from '../../../src/secrets/robot-credential.ts'
import type { RobotOptions } from '../../../src/upstream/robot/robot-token.ts'
import type { Quay } from '../../../src/sandbox/quay/quay.ts'
import { quayFor, robot as account } from '../../sandbox/quay/quay-client.ts'
import { everythingIn, failure, lookupOf, robotFor, serverFor, told, until } from '../upstream.ts'

/** The logins that arrived. */
const loginsAt = (quay: Quay) => quay.requests.filter(({ url }) => url.startsWith('/v2/auth'))

/** A function in place of upstream: `/v2/` challenges, everything else is the realm. */
const scripted = (
  realmAnswer: { status: number; body: string } | Error,
  challenge: string | undefined = 'Bearer realm="https://quay.io/v2/auth",service="quay.io"',
) => {
  const asked: Array<{ href: string; authorization: string | undefined }> = []
  const get: RobotOptions['get'] = async (url, authorization) => {
    asked.push({ href: url.href, authorization })
    if (url.pathname === '/v2/')
      return { status: 401, body: '', ...(challenge === undefined ? {} : { challenge }) }
    if (realmAnswer instanceof Error) throw realmAnswer
    return realmAnswer
  }
  return { asked, get }
}

const scriptedRobot = (
  realmAnswer: { status: number; body: string } | Error,
  options: Partial<RobotOptions> & { challenge?: string } = {},
) => {
  const { challenge, ...rest } = options
  const { asked, get } = scripted(realmAnswer, challenge)
  const refusals: string[] = []
  const robot = createRobotToken({
    credential: () => account,
    upstream: new URL('https://quay.io'),
    repository: 'openshift/ci',
    get,
    onRefused: (reason) => void refusals.push(reason),
    ...rest,
  })
  return { robot, asked, refusals }
}

const granted = (answer: unknown) => ({ status: 200, body: JSON.stringify(answer) })

const jwt = (claims: Record<string, unknown>): Promise<string> =>
  new SignJWT(claims).setProtectedHeader({ alg: 'HS256' }).sign(new Uint8Array(32))

await t.test('trap 40: 20 at once, one login, one scope per parameter', async (test) => {
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

await t.test('trap 40: refreshed before its end, while the old one is used', async (test) => {
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

await t.test('a refresh that fails shows only when the old token is out of use', async (test) => {
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

await t.test('trap 40: a failure is remembered briefly, or until the credential changes', async (test) => {
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

await t.test('an empty grant is a refusal: quay answers 200', async (test) => {
  const quay = await quayFor(test, { robot: { ...account, mayPull: false } })
  const { robot, refusals } = robotFor(test, quay.url)
  const error = await failure(robot.authorization())
  test.equal(told(error), '503 UNAVAILABLE 30')
  test.notMatch(everythingIn(error), /Bearer|ey[\w-]+\./)
  test.strictSame(refusals, ['the robot may not pull openshift/ci'])
})

await t.test('a grant for something else is none', async (test) => {
  const pull = { type: 'repository', name: 'openshift/ci', actions: ['pull'] }
  const refused = [
    [],
    [{ ...pull, name: 'openshift/other' }],
    [{ ...pull, actions: ['push'] }],
    [{ ...pull, actions: 'pull' }],
    [{ name: 'openshift/ci' }],
    [null, 1, 'pull'],
  ]
  for (const access of refused) {
    const { robot, refusals } = scriptedRobot(granted({ token: await jwt({ access }) }))
    test.equal(told(await failure(robot.authorization())), '503 UNAVAILABLE 30', JSON.stringify(access))
    test.equal(refusals.length, 1)
  }
  for (const access of [[null, pull], [{ ...pull, actions: ['push', 'pull'] }], undefined, 'anything']) {
    const { robot } = scriptedRobot(granted({ token: await jwt({ access }) }))
    test.match(await robot.authorization(), /^Bearer /, JSON.stringify(access))
  }
})

await t.test('attack: a realm elsewhere is not handed the password', async (test) => {
  const rows = [
    ['https://quay.io', 'https://quay.io/v2/auth', true],
    ['https://quay.io', 'https://auth.quay.io/token', true],
    ['https://registry.example.co.uk', 'https://auth.example.co.uk/', true],
    ['https://quay.io', 'https://quay.io:8443/v2/auth', true],
    ['http://10.0.0.1:5000', 'http://10.0.0.1:5000/auth', true],
    ['http://localhost:5000', 'https://localhost:5000/auth', true],
    ['https://quay.io', 'https://quay.io.example.com/v2/auth', false],
    ['https://quay.io', 'https://quay.io@example.com/v2/auth', false],
    ['https://quay.io', 'https://notquay.io/v2/auth', false],
    ['https://quay.io', 'http://quay.io/v2/auth', false],
    ['https://quay.io', 'http://auth.quay.io/v2/auth', false],
    ['http://quay.io', 'ftp://quay.io/v2/auth', false],
    ['https://quay.io', '//example.com', false],
    ['https://quay.io', '/v2/auth', false],
    ['https://quay.io', '', false],
    ['https://a.co.uk', 'https://b.co.uk/', false],
    ['https://a.github.io', 'https://b.github.io/', false],
    ['http://10.0.0.1:5000', 'http://10.0.0.2:5000/auth', false],
    ['http://10.0.0.1:5000', 'http://10.0.0.1:5001/auth', false],
    ['http://localhost:5000', 'http://127.0.0.1:5000/auth', false],
    ['http://registry:5000', 'http://auth:5000/', false],
  ] as const
  for (const [upstream, realm, allowed] of rows) {
    const challenge = `Bearer realm="${realm}",service="a"`
    const options = { challenge, upstream: new URL(upstream) }
    const { robot, asked, refusals } = scriptedRobot(granted({ token: 'opaque' }), options)
    if (allowed) test.equal(await robot.authorization(), 'Bearer opaque', realm)
    else {
      const error = await failure(robot.authorization())
      test.equal(told(error), '503 UNAVAILABLE 5', realm)
      test.match(error.cause, /^Error: realm on .*, upstream is /)
      test.notMatch(everythingIn(error), /hunter2|Basic/)
    }
    const expected = allowed
      ? `Basic ${Buffer.from('openshift+ci_pull:hunter2').toString('base64')}`
      : undefined
    test.equal(asked.find(({ authorization }) => authorization !== undefined)?.authorization, expected)
    test.equal(asked.length, allowed ? 2 : 1)
    test.strictSame(refusals, [])
  }
})

await t.test('a challenge without a realm', async (test) => {
  const { robot, asked } = scriptedRobot(granted({ token: 'a' }), { challenge: 'Bearer service="quay.io"' })
  test.match((await failure(robot.authorization())).cause, new Error('realm on no host, upstream is quay.io'))
  test.equal(asked.length, 1)
})

await t.test(
  'a realm on another host of the same domain, over the wire; elsewhere sees nothing',
  async (test) => {
    const realm = await serverFor(test, (_request, response) => void response.end('{"token":"a"}'))
    let host = 'auth.example.com'
    const quay = await serverFor(test, (_request, response) => {
      response
        .writeHead(401, { 'www-authenticate': `Bearer realm="http://${host}:${realm.port}/?a=b"` })
        .end()
    })
    const names = ['quay.example.com', 'auth.example.com', 'quay.example.net']
    const lookup = lookupOf(Object.fromEntries(names.map((name) => [name, ['127.0.0.1']])))
    const upstream = `http://quay.example.com:${quay.port}`
    test.equal(await robotFor(test, upstream, { lookup }).robot.authorization(), 'Bearer a')
    test.strictSame(
      realm.requests.map(({ url }) => url),
      ['/?a=b&scope=repository%3Aopenshift%2Fci%3Apull'],
      'without a service where none is named',
    )
    host = 'quay.example.net'
    await failure(robotFor(test, upstream, { lookup }).robot.authorization())
    test.equal(realm.requests.length, 1)
  },
)

await t.test('Basic, for registries that have no tokens', async (test) => {
  let clock = 0
  const { robot, asked } = scriptedRobot(new Error('no realm'), {
    challenge: 'Basic realm="a"',
    now: () => clock,
  })
  const basic = `Basic ${Buffer.from('openshift+ci_pull:hunter2').toString('base64')}`
  test.equal(await robot.authorization(), basic)
  clock = Number.MAX_SAFE_INTEGER
  test.equal(await robot.authorization(), basic)
  test.equal(asked.length, 1)
})

await t.test('no login at all: /v2/ answers 200', async (test) => {
  const { url, requests } = await serverFor(test, (_request, response) => void response.end('{}'))
  const { robot } = robotFor(test, url)
  test.equal(await robot.authorization(), undefined)
  test.equal(await robot.authorization(), undefined)
  test.equal(requests.length, 1)
  robot.invalidate(undefined)
  test.equal(await robot.authorization(), undefined)
  test.equal(requests.length, 2, 'refused without one: it may want one now')
})

await t.test('a ping that does not tell how to log in', async (test) => {
  const rows: Array<[number, Record<string, string>]> = [
    [401, {}],
    [401, { 'www-authenticate': 'Negotiate' }],
    [403, { 'www-authenticate': 'Bearer realm="http://127.0.0.1/"' }],
    [302, { location: 'http://127.0.0.1/' }],
    [500, {}],
  ]
  for (const [status, headers] of rows) {
    const { url, requests } = await serverFor(test, (_request, response) => {
      response.writeHead(status, headers).end()
    })
    const { robot, refusals } = robotFor(test, url)
    const error = await failure(robot.authorization())
    test.equal(told(error), '503 UNAVAILABLE 5')
    test.match(error.cause, new Error(`/v2/ answered ${status}`))
    test.equal(requests.length, 1)
    test.notOk(requests.some(({ headers: { authorization } }) => authorization !== undefined))
    test.strictSame(refusals, [])
  }
})

await t.test('an upstream that does not answer at all', async (test) => {
  const quay = await quayFor(test)
  quay.fault({ origin: 'quay', path: /./, reset: true })
  const { robot, refusals } = robotFor(test, quay.url)
  test.equal(told(await failure(robot.authorization())), '503 UNAVAILABLE 5')
  test.equal(robot.attempted(), true)
  test.strictSame(refusals, [])
})

await t.test('only a 401 or 403 of the realm is an alarm', async (test) => {
  for (const status of [401, 403]) {
    const { robot, refusals } = scriptedRobot({ status, body: 'secret' })
    const error = await failure(robot.authorization())
    test.equal(told(error), '503 UNAVAILABLE 30')
    test.notMatch(everythingIn(error), /secret|hunter2/)
    test.equal(refusals.length, 1)
  }
  for (const status of [302, 400, 404, 500, 503]) {
    const { robot, refusals } = scriptedRobot({ status, body: 'secret' })
    const error = await failure(robot.authorization())
    test.equal(told(error), '503 UNAVAILABLE 5')
    test.match(error.cause, new Error(`token endpoint answered ${status}`))
    test.equal(refusals.length, 0)
  }
})

await t.test('an answer without a token', async (test) => {
  const bodies = ['', '<html>', 'null', '1', '[]', '{}', '{"token":""}', '{"token":1,"access_token":{}}']
  for (const body of bodies) {
    const { robot, refusals } = scriptedRobot({ status: 200, body })
    test.equal(told(await failure(robot.authorization())), '503 UNAVAILABLE 5', body)
    test.strictSame(refusals, [])
  }
})

await t.test(
  'a page of HTML in place of a token refuses nobody: it is a trouble, tried again',
  async (test) => {
    for (const [body, isTrouble] of [
      ['<html>maintenance</html>', true],
      ['{}', false],
    ] as const) {
      const { robot } = scriptedRobot({ status: 200, body })
      test.equal((await failure(robot.authorization())) instanceof TransientUpstreamError, isTrouble)
    }
  },
)

await t.test('trap 11: token or access_token; trap 8, 9: how long it is used', async (test) => {
  const start = Date.UTC(2026, 0, 1)
  const inAnHour = start / 1000 + 3600
  // For how many seconds each is used: all of its life but 30 s, or half of it.
  const rows: Array<[object, number]> = [
    [{ token: 'a' }, 30],
    [{ access_token: 'a' }, 30],
    [{ token: '', access_token: 'a' }, 30],
    [{ token: 'a', expires_in: 300 }, 270],
    [{ token: 'a', expires_in: '300' }, 30],
    [{ token: 'a', expires_in: 10 }, 5],
    [{ token: await jwt({ exp: inAnHour }), expires_in: 60 }, 3570],
    [{ token: await jwt({}), expires_in: 300 }, 270],
    [{ token: await jwt({ exp: inAnHour - 7200 }) }, 0],
  ]
  for (const [answer, seconds] of rows) {
    let clock = start
    const { robot, asked } = scriptedRobot(granted(answer), { now: () => clock })
    test.match(await robot.authorization(), /^Bearer ./)
    // Before its end it is used as it is; at its end everybody waits for the next.
    const { length } = asked
    if (seconds > 0) {
      clock = start + Math.floor(seconds * 700)
      await robot.authorization()
      test.equal(asked.length, length, JSON.stringify(answer))
    }
    clock = start + seconds * 1000
    await robot.authorization()
    test.equal(asked.length, length * 2, JSON.stringify(answer))
  }
})

await t.test('what upstream refused is fetched anew; a newer one is kept', async (test) => {
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

await t.test('a changed credential: what the old one gave is not used any more', async (test) => {
  let clock = Date.UTC(2026, 0, 1)
  const quay = await quayFor(test, { now: () => clock })
  const { robot } = robotFor(test, quay.url, { now: () => clock })
  const first = await robot.authorization()
  clock += 1000
  robot.reset()
  test.not(await robot.authorization(), first)
})

await t.test(
  'a credential that changes during a login: its outcome is for those who wait for it',
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

await t.test('trap 40: a 429 is waited out, as long as upstream says', async (test) => {
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

await t.test('a trouble of the realm is tried again for all who wait; a refusal is not', async (test) => {
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
