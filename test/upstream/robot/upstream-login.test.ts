import t from 'tap'
import { logIn, type LoginOptions } from '../../../src/upstream/robot/upstream-login.ts'
import { TransientUpstreamError } from '../../../src/upstream/errors.ts'
import { quayFor, robot as account } from '../../sandbox/quay/quay-client.ts'
import { everythingIn, failure, lookupOf, robotFor, serverFor, told } from '../upstream.ts'
import { granted, jwt, scriptedRobot } from './scripted-robot.ts'

const credential = { username: 'openshift+ci', password: 'of-the-robot' }
const now = () => Date.UTC(2026, 0, 1)

/** A realm that answers every request with the same body. */
const realmOf = (challenge: string | undefined, body: string, status = 200) => {
  const asked: string[] = []
  const options: LoginOptions = {
    upstream: new URL('https://quay.io'),
    repository: 'openshift/ci',
    get: async (url, authorization) => {
      asked.push(`${url.href} ${authorization ?? 'without'}`)
      return url.pathname === '/v2/'
        ? { status: 401, body: '', ...(challenge === undefined ? {} : { challenge }) }
        : { status, body }
    },
    onRefused: () => undefined,
  }
  return { options, asked }
}

await t.test('the realm of the challenge gets one scope and the stored credential', async (test) => {
  const challenge = 'Bearer realm="https://quay.io/v2/auth",service="quay.io"'
  const { options, asked } = realmOf(challenge, JSON.stringify({ token: 'x', expires_in: 3600 }))
  const token = await logIn(options, credential, now)
  test.equal(token.header, 'Bearer x')
  test.equal(token.expiresAt, now() + 3_570_000)
  const basic = `Basic ${Buffer.from('openshift+ci:of-the-robot').toString('base64')}`
  test.strictSame(asked, [
    'https://quay.io/v2/ without',
    `https://quay.io/v2/auth?service=quay.io&scope=repository%3Aopenshift%2Fci%3Apull ${basic}`,
  ])
})

await t.test('attack: a realm on another site does not get the password', async (test) => {
  for (const realm of [
    'https://quay.io.example.com/',
    'https://example.com/',
    'http://quay.io/',
    'nothing',
  ]) {
    const { options, asked } = realmOf(`Bearer realm="${realm}"`, '{}')
    test.equal(told(await failure(logIn(options, credential, now))), '503 UNAVAILABLE 5')
    test.equal(asked.length, 1, realm)
  }
})

await t.test('without a challenge no credential is sent', async (test) => {
  const { options, asked } = realmOf(undefined, '{}')
  test.equal(told(await failure(logIn(options, credential, now))), '503 UNAVAILABLE 5')
  test.equal(asked.length, 1)
})

await t.test('an empty grant is a refusal: quay answers 200', async (test) => {
  const quay = await quayFor(test, { robot: { ...account, mayPull: false } })
  const { robot, refusals } = robotFor(test, quay.url)
  const error = await failure(robot.authorization())
  test.equal(told(error), '503 UNAVAILABLE 30')
  test.notMatch(everythingIn(error), /Bearer|ey[\w-]+\./)
  test.strictSame(refusals, ['the robot may not pull openshift/ci'])
})

await t.test('a grant for another repository is a refusal', async (test) => {
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

await t.test('attack: a realm on a similar host does not get the password', async (test) => {
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

await t.test('a challenge without a realm is an error', async (test) => {
  const { robot, asked } = scriptedRobot(granted({ token: 'a' }), { challenge: 'Bearer service="quay.io"' })
  test.match((await failure(robot.authorization())).cause, new Error('realm on no host, upstream is quay.io'))
  test.equal(asked.length, 1)
})

await t.test(
  'over sockets: a realm on another host of the same domain is used; another site gets no request',
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

await t.test('Basic is used for registries without tokens', async (test) => {
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

await t.test('no login is needed if /v2/ answers 200', async (test) => {
  const { url, requests } = await serverFor(test, (_request, response) => void response.end('{}'))
  const { robot } = robotFor(test, url)
  test.equal(await robot.authorization(), undefined)
  test.equal(await robot.authorization(), undefined)
  test.equal(requests.length, 1)
  robot.invalidate(undefined)
  test.equal(await robot.authorization(), undefined)
  test.equal(requests.length, 2, 'refused without one: it may want one now')
})

await t.test('a ping without a readable challenge is an error', async (test) => {
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

await t.test('an upstream without an answer is an error', async (test) => {
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

await t.test('a response without a token is an error', async (test) => {
  const bodies = ['', '<html>', 'null', '1', '[]', '{}', '{"token":""}', '{"token":1,"access_token":{}}']
  for (const body of bodies) {
    const { robot, refusals } = scriptedRobot({ status: 200, body })
    test.equal(told(await failure(robot.authorization())), '503 UNAVAILABLE 5', body)
    test.strictSame(refusals, [])
  }
})

await t.test('a page of HTML in place of a token is no refusal, but a transient error', async (test) => {
  for (const [body, isTransient] of [
    ['<html>maintenance</html>', true],
    ['{}', false],
  ] as const) {
    const { robot } = scriptedRobot({ status: 200, body })
    test.equal((await failure(robot.authorization())) instanceof TransientUpstreamError, isTransient)
  }
})

await t.test(
  'trap 11: the token is in token or access_token; trap 8, 9: how long it is used',
  async (test) => {
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
  },
)

await t.test('a 429 of the realm is a rate limit, and no alarm', async (test) => {
  const { options } = realmOf('Bearer realm="https://quay.io/v2/auth"', '', 429)
  const error = await failure(logIn(options, credential, now))
  test.equal(error.code, 'TOOMANYREQUESTS')
  test.ok(error instanceof TransientUpstreamError)
})
