import { decodeJwt } from 'jose'
import t from 'tap'
import { ask, basic, errorOf, login, quayFor, robot, tokenUrl } from './quay-client.ts'

function tokenOf(body: Buffer): string {
  return (JSON.parse(body.toString()) as { token: string }).token
}

await t.test('the robot gets a token and nothing else, for an hour', async (test) => {
  const quay = await quayFor(test)
  const reply = await ask(tokenUrl(quay), basic())
  test.match(reply, { status: 200, headers: { 'cache-control': 'no-store', connection: 'close' } })
  test.strictSame(Object.keys(JSON.parse(reply.body.toString()) as object), ['token'])
  const { iat = 0, exp, aud, sub, ...claims } = decodeJwt(tokenOf(reply.body))
  test.strictSame(
    { life: Number(exp) - iat, aud, sub },
    { life: 3600, aud: new URL(quay.url).host, sub: robot.username },
  )
  test.strictSame(claims['access'], [{ type: 'repository', name: 'openshift/ci', actions: ['pull'] }])
})

await t.test(
  'a repository it may not pull, a permission taken away: an empty grant, not an error',
  async (test) => {
    const quay = await quayFor(test)
    const scopes = ['repository:other/repo:pull,push', 'repository:openshift/ci:pull', '']
    const granted = decodeJwt(tokenOf((await ask(tokenUrl(quay, scopes), basic())).body))['access']
    test.match(granted, [
      { name: 'other/repo', actions: [] },
      { name: 'openshift/ci', actions: ['pull'] },
    ])
    quay.setRobot({ ...robot, mayPull: false })
    const empty = await ask(tokenUrl(quay), basic())
    test.equal(empty.status, 200)
    test.match(decodeJwt(tokenOf(empty.body))['access'], [{ name: 'openshift/ci', actions: [] }])
  },
)

await t.test('anonymous: an empty grant for a scope, 401 without one', async (test) => {
  const quay = await quayFor(test)
  test.match(decodeJwt(tokenOf((await ask(tokenUrl(quay))).body))['access'], [{ actions: [] }])
  test.equal(errorOf(await ask(tokenUrl(quay, []))), '401 UNAUTHORIZED {}')
  test.equal((await ask(tokenUrl(quay, []), basic())).status, 200)
})

await t.test('a wrong credential is 401; so is the old one after a rotation', async (test) => {
  const quay = await quayFor(test)
  for (const headers of [
    basic({ ...robot, password: 'x' }),
    { authorization: 'Bearer x' },
    { authorization: '' },
  ]) {
    test.equal(errorOf(await ask(tokenUrl(quay), headers)), '401 UNAUTHORIZED {}')
  }
  const next = { username: 'openshift+next', password: 'new' }
  quay.setRobot(next)
  test.equal((await ask(tokenUrl(quay), basic())).status, 401)
  test.equal((await ask(tokenUrl(quay), basic(next))).status, 200)
})

await t.test('scopes joined by a space are refused; so is POST', async (test) => {
  const quay = await quayFor(test)
  const joined = 'repository:openshift/ci:pull repository:a/b:pull'
  test.equal(errorOf(await ask(tokenUrl(quay, [joined]), basic())), '400 INVALID_REQUEST {}')
  test.match(await ask(tokenUrl(quay), basic(), 'POST'), { status: 405, headers: { allow: 'GET, OPTIONS' } })
})

await t.test('a token dies: by the clock, by a fault, for another service', async (test) => {
  let now = Date.UTC(2026, 0, 1)
  const quay = await quayFor(test, { tokenLifetimeSeconds: 10, now: () => now })
  const ping = `${quay.url}/v2/`
  const headers = await login(quay)
  test.equal((await ask(ping, headers)).status, 200)
  quay.fault({ origin: 'quay', path: /^\/v2\/$/, expire: true })
  const expired = await ask(ping, headers)
  test.match(expired, { status: 401, headers: { 'www-authenticate': /^Bearer realm=/ } })
  test.strictSame(JSON.parse(expired.body.toString()), { error: 'Token has expired' })
  test.equal((await ask(ping, headers)).status, 200)
  now += 10_000
  test.equal((await ask(ping, headers)).status, 401)

  for (const query of ['?service=elsewhere', '']) {
    const { body } = await ask(`${quay.url}/v2/auth${query}`, basic())
    test.equal((await ask(ping, { authorization: `Bearer ${tokenOf(body)}` })).status, 401)
  }
  test.equal((await ask(ping)).status, 401)
  test.equal((await ask(ping, basic())).status, 401, 'Basic is for the realm only')
})

await t.test('several robots, each with its own password and rights', async (test) => {
  const quay = await quayFor(test)
  const second = { username: 'openshift+second', password: 'other', mayPull: false }
  quay.setRobot(robot, second)
  for (const [account, actions] of [
    [robot, ['pull']],
    [second, []],
  ] as const) {
    const { sub, access } = decodeJwt(tokenOf((await ask(tokenUrl(quay), basic(account))).body))
    test.match({ sub, access }, { sub: account.username, access: [{ actions }] })
  }
  const mixed = basic({ username: robot.username, password: second.password })
  test.equal((await ask(tokenUrl(quay), mixed)).status, 401)
})

await t.test('a robot that pushes may also pull', async (test) => {
  const pusher = { username: 'writer', password: 'w', mayPush: true }
  const quay = await quayFor(test, { pusher })
  const { body } = await ask(tokenUrl(quay, ['repository:openshift/ci:push']), basic(pusher))
  test.match(decodeJwt(tokenOf(body))['access'], [{ name: 'openshift/ci', actions: ['pull', 'push'] }])
})
