import { once } from 'node:events'
import { Agent, request, type IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import t from 'tap'
import type { Test } from 'tap'
import {
  createAuthenticate,
  authenticationStage,
} from '../../../src/registry/authentication/authentication.ts'
import { parseAuthorization } from '../../../src/registry/authentication/credential.ts'
import { robotIdentity } from '../../../src/registry/authentication/robot-tokens.ts'
import { stageHook } from '../../../src/registry/stage-hook.ts'
import type { Identity } from '../../../src/access/identity.ts'
import { alice, bareApp, bearer, challenge, listen } from '../fakes.ts'
import { createLoginAdvice } from '../../../src/registry/authentication/login-advice.ts'

const advice = createLoginAdvice({ host: 'proxy.example' })

const robots = [
  { username: 'ci+robot', password: 'hunter2' },
  { username: 'ci+second', password: 'swordfish' },
]

const refusal = { reason: 'unknown', by: 'cluster', tokenKind: 'opaque', unverifiedClaims: {} } as const

const create = () => {
  const asked: string[] = []
  const clients = new Set<string>()
  const authenticate = createAuthenticate({
    challenge,
    advice,
    reviewToken: async (token, client) => {
      clients.add(client)
      asked.push(token)
      return token === 'good' ? { authenticated: true, identity: alice } : { authenticated: false, refusal }
    },
    robotCredentials: () => robots,
    robotTokens: {
      verify: async (token) =>
        token === 'minted' ? robotIdentity('ci+robot') : token === 'forged' ? 'invalid' : undefined,
    },
  })
  return {
    asked,
    clients,
    ask: async (header?: string) => await authenticate(parseAuthorization(header), '10.0.0.1'),
  }
}
const basic = (userInfo: string) => `Basic ${btoa(userInfo)}`

await t.test('a cluster token, by Bearer or as the password of any user', async (test) => {
  const { ask, asked, clients } = create()
  for (const header of ['Bearer good', basic('user:good'), basic('system:serviceaccount:a:b:good')])
    test.strictSame(await ask(header), { identity: alice, bearerToken: 'good' }, 'trap 2')
  test.strictSame(asked, ['good', 'good', 'good'])
  test.strictSame([...clients], ['10.0.0.1'], 'the address it came from is told, for its limit')
})

await t.test('the robot, by its password or by its robot token', async (test) => {
  const { ask, asked } = create()
  const identity = robotIdentity('ci+robot')
  test.strictSame(await ask(basic('ci+robot:hunter2')), { identity, bearerToken: undefined })
  test.strictSame(await ask('Bearer minted'), { identity, bearerToken: 'minted' })
  test.strictSame(await ask(basic('anybody:minted')), { identity, bearerToken: 'minted' })
  test.strictSame(asked, [], 'the cluster is not told')
})

await t.test('any of the robots, each with its own password', async (test) => {
  const { ask, asked } = create()
  const second = { identity: robotIdentity('ci+second'), bearerToken: undefined }
  test.strictSame(await ask(basic('ci+second:swordfish')), second)
  for (const [header, message] of [
    [basic('ci+robot:swordfish'), /password of the robot is not right/],
    [basic('ci+second:hunter2'), /password of the robot is not right/],
    [basic('somebody:swordfish'), /password of the robot is not right/],
    ['Bearer swordfish', /password of the robot is not right/],
    ['Bearer hunter2', /password of the robot is not right/],
  ] as const)
    await test.rejects(ask(header), { status: 401, message })
  test.strictSame(asked, [], 'no password is handed to the cluster')
})

await t.test('trap 12: every refusal is a 401, with `error` if there was a token', async (test) => {
  const { ask, asked } = create()
  const rows = [
    [undefined, /^log in first: podman login/, false],
    ['Digest x', /^the login cannot be read: its scheme is neither/, false],
    [basic('ci+robot:hunter3'), /^the user name or the password of the robot is not right/, false],
    ['Bearer bad', /^the app.ci cluster does not accept your token/, true],
    ['Bearer forged', /^the login of the robot is not valid, or has expired/, true],
  ] as const
  for (const [header, message, invalid] of rows) {
    const {
      status,
      code,
      headers,
      message: said,
    } = (await ask(header).catch((error: unknown) => error)) as {
      status: number
      code: string
      message: string
      headers: Record<string, string>
    }
    test.strictSame([status, code], [401, 'UNAUTHORIZED'])
    test.match(said, message)
    test.notMatch(said, /hunter/)
    test.equal(headers['www-authenticate']?.includes('error="invalid_token"'), invalid, header ?? 'none')
  }
  test.strictSame(asked, ['bad'], "neither a robot's password nor a forgery is handed to the cluster")
})

await t.test(
  'attack: guesses at a proxy without a cluster are limited, whatever user name they have',
  async (test) => {
    const guessed: string[] = []
    const ask = (by: 'configuration' | 'cluster') =>
      createAuthenticate({
        challenge,
        advice,
        reviewToken: async () => ({ authenticated: false, refusal: { ...refusal, by } }),
        robotCredentials: () => robots,
        robotTokens: { verify: async () => undefined },
        limitGuesses: (client) => void guessed.push(client),
      })(parseAuthorization(basic('guest:hunter1')), '10.0.0.1')
    await test.rejects(ask('configuration'), { code: 'UNAUTHORIZED' })
    test.strictSame(guessed, ['10.0.0.1'])
    await test.rejects(ask('cluster'), { code: 'UNAUTHORIZED' })
    test.strictSame(guessed, ['10.0.0.1'], 'reviews have a limit of their own')
  },
)

await t.test('trap 17: an unavailable API server is no refusal', async (test) => {
  const away = async () => {
    throw Object.assign(new Error('away'), { code: 'UNAVAILABLE' })
  }
  const robotCredentials = () => [{ username: 'a', password: 'b' }]
  const robotTokens = { verify: async () => undefined }
  const options = { challenge, advice, reviewToken: away, robotCredentials, robotTokens }
  await test.rejects(createAuthenticate(options)({ kind: 'bearer', token: 'x' }, '10.0.0.1'), {
    code: 'UNAVAILABLE',
  })
})

await t.test('the stage sets the identity of the request', async (test) => {
  const app = bareApp(test)
  const seen: unknown[] = []
  const stage = authenticationStage(async (credential, client) => {
    seen.push(credential, client)
    return { identity: alice, bearerToken: undefined }
  })
  app.get('/', { onRequest: stageHook(stage) }, async (request) => request.identity?.user.username)
  const { body } = await app.inject({ url: '/', headers: bearer })
  test.equal(body, 'alice')
  test.strictSame(seen, [{ kind: 'bearer', token: 'token' }, '127.0.0.1'])
})

await t.test(
  "again: valid while the review is cached and the robots' credentials stay the same",
  async (test) => {
    let credentials = robots
    let known: Identity | undefined = alice
    const authenticate = createAuthenticate({
      challenge,
      advice,
      reviewToken: async () => ({ authenticated: true, identity: alice, again: () => known }),
      robotCredentials: () => credentials,
      robotTokens: { verify: async (token) => (token === 'minted' ? robotIdentity('ci+robot') : undefined) },
    })
    const { again } = await authenticate({ kind: 'bearer', token: 'good' }, '10.0.0.1')
    test.equal(again?.(), alice)
    known = undefined
    test.equal(again?.(), undefined, 'the review has to be asked for anew')
    known = alice
    credentials = [{ username: 'ci+robot', password: 'good' }]
    test.equal(again?.(), undefined, 'what was a cluster token may be the password now')
    const minted = await authenticate({ kind: 'bearer', token: 'minted' }, '10.0.0.1')
    test.equal(minted.again, undefined, 'a token of ours is verified each time')
  },
)

/** Requests over connections of their own, one after the other on each. */
const serve = async (test: Test, again: (token: string) => Identity | undefined) => {
  const asked: string[] = []
  const app = bareApp(test)
  const stage = authenticationStage(async (credential) => {
    const token = credential.kind === 'bearer' ? credential.token : ''
    if (token === 'bad') throw challenge.invalidToken('no')
    asked.push(token)
    const user = { ...alice.user, username: token }
    return {
      identity: { ...alice, user },
      bearerToken: token,
      ...(token === 'once' ? {} : { again: () => again(token) }),
    }
  })
  app.get('/', { onRequest: stageHook(stage) }, async ({ identity }) => identity?.user.username)
  const port = await listen(test, app)
  const connection = () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    test.teardown(() => agent.destroy())
    return async (token: string | undefined) => {
      const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
      const sent = request({ port, host: '127.0.0.1', agent, headers }).end()
      const [response] = (await once(sent, 'response')) as [IncomingMessage]
      const body = await text(response)
      return response.statusCode === 200 ? body : response.statusCode
    }
  }
  return { asked, connection }
}

await t.test('a repeated header on one connection is not parsed again', async (test) => {
  const { asked, connection } = await serve(test, (token) => ({
    ...alice,
    user: { ...alice.user, username: `${token} again` },
  }))
  const [one, other] = [connection(), connection()]
  test.equal(await one('a'), 'a')
  test.equal(await one('a'), 'a again')
  test.equal(await one('a'), 'a again')
  test.strictSame(asked, ['a'])
  test.equal(await other('a'), 'a', 'another connection knows nothing of it')
  test.strictSame(asked, ['a', 'a'])
})

await t.test('attack: several clients on one connection of a router', async (test) => {
  const { asked, connection } = await serve(test, (token) => ({
    ...alice,
    user: { ...alice.user, username: `${token} again` },
  }))
  const ask = connection()
  test.equal(await ask('alice'), 'alice')
  test.equal(await ask('alicf'), 'alicf', 'the last letter is another')
  test.equal(await ask('alic'), 'alic', 'it is the beginning of it')
  test.equal(await ask('bad'), 401)
  test.equal(await ask(undefined), '', 'nothing is shown: whoever was there before is gone')
  test.equal(await ask('alic'), 'alic again')
  test.strictSame(asked, ['alice', 'alicf', 'alic', ''])
})

await t.test('an expired or uncacheable identity is authenticated anew', async (test) => {
  const { asked, connection } = await serve(test, () => undefined)
  const ask = connection()
  for (const token of ['a', 'a', 'once', 'once']) test.equal(await ask(token), token)
  test.strictSame(asked, ['a', 'a', 'once', 'once'])
})

const failureOf = async (work: Promise<unknown>) =>
  (await work.catch((error: unknown) => error)) as {
    status: number
    message: string
    headers: Record<string, string>
    forLog: unknown
  }

await t.test(
  'attack: guesses. One answer for a wrong name and a wrong password, and no review',
  async (test) => {
    const { ask, asked } = create()
    const answers = []
    for (const login of [
      'ci+robot:hunter3',
      'ci+other:hunter2',
      'ci+other:hunter3',
      'alice:hunter2',
      'openshift+ci:x',
    ])
      answers.push(await failureOf(ask(basic(login))))
    for (const { status, message, headers, forLog } of answers)
      test.strictSame(
        [status, message, headers, forLog],
        [401, answers[0]?.message, answers[0]?.headers, answers[0]?.forLog],
      )
    test.strictSame(asked, [])
  },
)

await t.test("a cluster token with a robot's user name is reviewed", async (test) => {
  const { ask, asked } = create()
  const tokens = [`sha256~${'a'.repeat(43)}`, 'eyJhbGciOiJub25lIn0.eyJhIjoxfQ.c2ln']
  for (const name of ['ci+robot', 'ci+other'])
    for (const token of tokens)
      test.match((await failureOf(ask(basic(`${name}:${token}`)))).message, /^the app.ci cluster/)
  test.strictSame(asked, [...tokens, ...tokens])
})

await t.test('attack: guesses are limited, and the right password is not', async (test) => {
  const { ask } = create()
  const statuses: number[] = []
  for (let index = 0; index < 101; index++)
    statuses.push(
      (await failureOf(ask(index % 2 === 0 ? basic(`ci+robot:guess-${index}`) : 'Bearer hunter2'))).status,
    )
  test.equal(statuses.filter((status) => status === 401).length, 30)
  test.equal(statuses.filter((status) => status === 429).length, 71)
  test.match(await ask(basic('ci+robot:hunter2')), { identity: robotIdentity('ci+robot') })
  test.match(await ask(basic('user:good')), { identity: alice })
})

await t.test('a robot login without a plus in its name is not sent to the cluster', async (test) => {
  const authenticate = createAuthenticate({
    challenge,
    advice,
    reviewToken: async () => {
      throw new Error('it was asked')
    },
    robotCredentials: () => [{ username: 'robot', password: 'hunter2' }],
    robotTokens: { verify: async () => undefined },
  })
  const { message } = await failureOf(authenticate(parseAuthorization(basic('robot:hunter3')), '10.0.0.1'))
  test.match(message, /password of the robot is not right/)
})

await t.test('the reason of a refused login goes to the log, without the token', async (test) => {
  const { ask } = create()
  const { forLog } = await failureOf(ask('Bearer bad'))
  test.strictSame(forLog, refusal)
  test.strictSame((await failureOf(ask(basic('alice')))).forLog, {
    reason: 'it is not of the form user:token',
  })
})
