import t from 'tap'
import { createAuthenticate, authenticationHook } from '../../src/registry/authentication.ts'
import { parseAuthorization } from '../../src/registry/credential.ts'
import { robotIdentity } from '../../src/registry/robot-tokens.ts'
import { alice, bareApp, bearer, challenge } from './fakes.ts'

const create = () => {
  const asked: string[] = []
  const clients = new Set<string>()
  const authenticate = createAuthenticate({
    challenge,
    host: 'proxy.example',
    reviewToken: async (token, client) => {
      clients.add(client)
      asked.push(token)
      return token === 'good'
        ? { authenticated: true, identity: alice }
        : { authenticated: false, reason: 'unknown' }
    },
    robotCredential: () => ({ username: 'ci+robot', password: 'hunter2' }),
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

await t.test('a cluster token, by Bearer or as the password of anybody', async (test) => {
  const { ask, asked, clients } = create()
  for (const header of ['Bearer good', basic('user:good'), basic('system:serviceaccount:a:b:good')])
    test.strictSame(await ask(header), { identity: alice, bearerToken: 'good' }, 'trap 2')
  test.strictSame(asked, ['good', 'good', 'good'])
  test.strictSame([...clients], ['10.0.0.1'], 'the address it came from is told, for its limit')
})

await t.test('the robot, by its password or the token that it was given for it', async (test) => {
  const { ask, asked } = create()
  const identity = robotIdentity('ci+robot')
  test.strictSame(await ask(basic('ci+robot:hunter2')), { identity, bearerToken: undefined })
  test.strictSame(await ask('Bearer minted'), { identity, bearerToken: 'minted' })
  test.strictSame(await ask(basic('anybody:minted')), { identity, bearerToken: 'minted' })
  test.strictSame(asked, [], 'the cluster is not told')
})

await t.test('trap 12: every refusal is a 401, with error where a token was shown', async (test) => {
  const { ask, asked } = create()
  const rows = [
    [undefined, /^log in first: podman login/, false],
    ['Digest x', /^the login is not of the form user:token/, false],
    [basic('ci+robot:hunter3'), /^the user name or the password of the robot ci\+robot is not right/, false],
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

await t.test('trap 17: an outage is no refusal', async (test) => {
  const away = async () => {
    throw Object.assign(new Error('away'), { code: 'UNAVAILABLE' })
  }
  const robotCredential = () => ({ username: 'a', password: 'b' })
  const robotTokens = { verify: async () => undefined }
  const options = { challenge, host: 'a', reviewToken: away, robotCredential, robotTokens }
  await test.rejects(createAuthenticate(options)({ kind: 'bearer', token: 'x' }, '10.0.0.1'), {
    code: 'UNAVAILABLE',
  })
})

await t.test('the hook leaves who it is on the request', async (test) => {
  const app = bareApp(test)
  const seen: unknown[] = []
  const hook = authenticationHook(async (credential, client) => {
    seen.push(credential, client)
    return { identity: alice, bearerToken: undefined }
  })
  app.get('/', { onRequest: hook }, async (request) => request.identity?.user.username)
  const { body } = await app.inject({ url: '/', headers: bearer })
  test.equal(body, 'alice')
  test.strictSame(seen, [{ kind: 'bearer', token: 'token' }, '127.0.0.1'])
})
