import { accept, scenario, type Scenario } from './scenario.ts'

const basic = (userInfo: string) => ({ authorization: `Basic ${Buffer.from(userInfo).toString('base64')}` })
const formType = 'application/x-www-form-urlencoded; charset=utf-8'

interface TokenAnswer {
  readonly token: string
  readonly access_token: string
  readonly expires_in: number
}
const tokenOf = ({ body }: { body: Buffer }) => JSON.parse(body.toString()) as TokenAnswer

const login = async (s: Scenario, userInfo: string) =>
  await s.ask('/v2/auth?service=x', { headers: basic(userInfo) })

await scenario(
  'trap 1, 2: the token is what follows the last colon, whatever the user name is',
  async (t, s) => {
    const names = ['alice', 'user', 'kube:admin', 'system:serviceaccount:my-team:image-puller', 'a:b:c:d', '']
    for (const name of names) {
      const answer = await login(s, `${name}:${s.alice}`)
      t.equal(answer.status, 200, name)
      t.equal(tokenOf(answer).token, s.alice, 'the same token back')
    }
    t.equal(s.kubernetes.requests.tokenReviews, 1, 'one review for all of them')
  },
)

await scenario('trap 8, 9, 10, 11: a token response that every client can read', async (t, s) => {
  const short = s.remember(
    s.kubernetes.issueServiceAccountToken({
      namespace: 'my-team',
      name: 'image-puller',
      expiresInSeconds: 600,
    }),
  )
  for (const [token, atMost] of [
    [s.alice, 3600],
    [short, 570],
  ] as const) {
    const answer = await login(s, `user:${token}`)
    const body = tokenOf(answer)
    t.same(Object.keys(body), ['token', 'access_token', 'expires_in'], 'no issued_at, no refresh_token')
    t.equal(body.access_token, body.token)
    t.ok(Number.isInteger(body.expires_in) && body.expires_in <= atMost && body.expires_in > atMost - 10)
    t.equal(answer.headers.get('content-type'), 'application/json')
    t.equal(answer.headers.get('cache-control'), 'no-store')
  }
})

await scenario("trap 3: containerd's POST of a form", async (t, s) => {
  const post = async (body: string, type = formType) =>
    await s.ask('/v2/auth', { method: 'POST', headers: { 'content-type': type }, body })
  const form = (fields: Record<string, string>) => new URLSearchParams(fields).toString()
  const containerd = {
    grant_type: 'password',
    service: new URL(s.url).host,
    client_id: 'containerd-client',
    scope: 'repository:ocp/4.5:pull repository:ci/tools:pull',
  }
  for (const username of ['alice', 'system:serviceaccount:my-team:image-puller']) {
    const answer = await post(form({ ...containerd, username, password: s.alice }))
    t.equal(answer.status, 200)
    t.equal(tokenOf(answer).access_token, s.alice)
  }
  // A client that splits at the first colon sends the rest of the name as the start of the password.
  const split = await post(
    form({ ...containerd, username: 'system', password: `serviceaccount:my-team:x:${s.alice}` }),
  )
  t.equal(tokenOf(split).access_token, s.alice)
  const rows = [
    ['a wrong token', form({ ...containerd, username: 'x', password: 'wrong-wrong-wrong' }), formType, 401],
    ['no password', form({ ...containerd, username: 'x' }), formType, 400],
    [
      'a refresh token',
      form({ ...containerd, grant_type: 'refresh_token', refresh_token: 'x' }),
      formType,
      401,
    ],
    [
      'a password twice',
      `${form({ ...containerd, username: 'x', password: 'y' })}&password=z`,
      formType,
      400,
    ],
    ['nothing', '', formType, 400],
    ['JSON', '{}', 'application/json', 400],
    ['no type', 'x', 'nonsense', 400],
    ['too much', form({ ...containerd, username: 'x', password: 'y'.repeat(20_000) }), formType, 400],
  ] as const
  for (const [name, body, type, status] of rows) {
    const answer = await post(body, type)
    t.equal(answer.status, status, `${name}: containerd goes on to GET after 400, 401, 404 and 405 only`)
    t.ok(answer.code, name)
    if (status === 401) t.ok(answer.headers.get('www-authenticate'), name)
  }
})

await scenario('the robot logs in with its own password, without a review', async (t, s) => {
  const { username, password } = s.robot
  const answer = await login(s, `${username}:${password}`)
  const token = s.remember(tokenOf(answer).token)
  t.not(token, password)
  t.equal(tokenOf(answer).expires_in, 21_600)
  t.equal((await s.ask('/v2/', { token })).status, 200)
  t.equal((await s.ask('/v2/ocp-priv/4.5/manifests/embargoed', { token, headers: { accept } })).status, 200)
  t.equal(
    (await s.ask('/v2/', { headers: basic(`${username}:${password}`) })).status,
    200,
    'Basic on any route',
  )
  const wrong = await login(s, `${username}:${password.slice(0, -1)}`)
  t.equal(wrong.status, 401)
  t.match(wrong.message, /^the user name or the password of the robot is not right/)
  for (const answer of [await login(s, `somebody:${password}`), await s.ask('/v2/', { token: password })])
    t.match(answer.message, /password of the robot/, 'under another name, or as a token')
  t.equal(s.kubernetes.requests.tokenReviews, 0, 'the password never went to the cluster')
})

await scenario(
  'trap 14, 15: the ping, with and without a login, with and without the slash',
  async (t, s) => {
    for (const path of ['/v2/', '/v2']) {
      t.equal((await s.ask(path)).status, 401)
      t.equal((await s.ask(path, { token: 'wrong-wrong-wrong' })).status, 401)
      for (const headers of [basic(`x:${s.alice}`), { authorization: `bearer ${s.alice}` }]) {
        const answer = await s.ask(path, { headers })
        t.equal(answer.status, 200)
        t.equal(answer.body.toString(), 'true')
        t.equal(answer.headers.get('docker-distribution-api-version'), 'registry/2.0')
        t.equal(answer.headers.get('x-registry-supports-signatures'), null, 'trap 32')
      }
    }
    t.equal(
      (await s.ask('/v2/', { token: s.mallory })).status,
      200,
      'trap 13: who may nothing learns so at a resource',
    )
    for (const authorization of [
      'Basic',
      'Basic !!!',
      'Bearer',
      'Digest x',
      `Basic ${Buffer.from('nocolon').toString('base64')}`,
    ])
      t.equal((await s.ask('/v2/', { headers: { authorization } })).status, 401, authorization)
  },
)

await scenario('trap 7: the realm is the configured one, whatever Host the client sends', async (t, s) => {
  const answer = await s.raw(
    'GET /v2/ HTTP/1.1\r\nHost: evil.example\r\nX-Forwarded-Proto: http\r\nConnection: close\r\n\r\n',
  )
  t.match(answer, `www-authenticate: Bearer realm="${s.url}/v2/auth",service="${new URL(s.url).host}"\r\n`)
})
