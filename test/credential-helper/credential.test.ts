import { writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { findCredential } from '../../src/credential-helper/credential.ts'
import { readSettings } from '../../src/credential-helper/settings.ts'
import { boundToken, fakeOc, loggedIn, token, unauthorized, type Answers } from './fake-oc.ts'

const find = async (test: Test, answers: Answers, ...flags: readonly string[]) => {
  const { environment, calls } = fakeOc(test, answers)
  const found = findCredential(readSettings(flags, {}), { environment, deadlineMs: 30_000 })
  return { found, calls }
}
const refusal = async (test: Test, answers: Answers, ...flags: readonly string[]): Promise<string> => {
  const { found } = await find(test, answers, ...flags)
  const message = await found.then(
    () => 'found',
    (error: Error) => error.message,
  )
  for (const secret of [token, boundToken]) test.notOk(message.includes(secret), 'a secret')
  return message
}
const elsewhere = { ...loggedIn, 'whoami --show-server': 'echo https://api.farm.example:6443' }
const appCi = '--cluster-url=https://api.ci.example:6443'
const ofRobot = '--service-account=my-team/image-puller'

await t.test('the login of oc', async (test) => {
  const { found, calls } = await find(test, loggedIn)
  test.strictSame(await found, { username: 'alice', secret: token })
  test.strictSame(calls(), ['whoami', 'whoami -t'])
})

await t.test('of another context, and of the cluster that is required', async (test) => {
  const { found, calls } = await find(test, loggedIn, '--context=app.ci', appCi)
  test.strictSame(await found, { username: 'alice', secret: token })
  test.strictSame(calls(), [
    'whoami --context=app.ci',
    'whoami --show-server --context=app.ci',
    'whoami -t --context=app.ci',
  ])
})

await t.test('attack: the token of another cluster is not handed out', async (test) => {
  const other = 'oc is logged in to another cluster: oc login https://api.ci.example:6443'
  test.equal(await refusal(test, elsewhere, appCi), other)
  test.equal(await refusal(test, elsewhere, appCi, ofRobot), other)
  const unknown = { ...loggedIn, 'whoami --show-server': 'exit 1' }
  test.equal(await refusal(test, unknown, appCi), other)
})

await t.test('no login, an expired one, an unreachable cluster: what to do', async (test) => {
  const again = 'oc is not logged in, or its token has expired: oc login'
  test.equal(await refusal(test, { ...loggedIn, 'whoami -t': 'echo "error: no token" >&2; exit 1' }), again)
  test.equal(await refusal(test, { ...loggedIn, 'whoami -t': 'echo' }), again)
  // It prints the token of its file, which has expired.
  const expired = { 'whoami -t': loggedIn['whoami -t'] ?? '', whoami: unauthorized }
  test.equal(await refusal(test, expired), again)
  test.equal(
    await refusal(
      test,
      { ...loggedIn, 'whoami --show-server': 'echo https://api.ci.example:6443', whoami: unauthorized },
      appCi,
    ),
    `${again} https://api.ci.example:6443`,
  )
  test.equal(
    await refusal(test, { ...expired, whoami: 'echo "Unable to connect to the server" >&2; exit 1' }),
    'oc whoami failed: run it to see why; the API server may be unreachable',
  )
})

await t.test('a bound token of a service account', async (test) => {
  const { found, calls } = await find(test, loggedIn, ofRobot, '--duration=30m')
  test.strictSame(await found, { username: 'system-serviceaccount-my-team-image-puller', secret: boundToken })
  test.strictSame(calls(), ['create token image-puller --namespace=my-team --duration=30m'])
  test.equal(
    await refusal(test, { 'create token': unauthorized }, ofRobot),
    'oc is not logged in, or its token has expired: oc login',
  )
  test.equal(
    await refusal(test, { 'create token': 'echo forbidden >&2; exit 1' }, ofRobot),
    'oc create token image-puller -n my-team failed: run it to see why; it needs create serviceaccounts/token',
  )
  test.equal(
    await refusal(test, { 'create token': 'echo' }, ofRobot),
    'oc create token image-puller -n my-team printed no token',
  )
})

await t.test('a file with a token, read each time', async (test) => {
  const folder = test.testdir({ token: `${boundToken}\n`, empty: '\n', expired: 'eyJ.eyJleHAiOjF9.x' })
  const read = async (name: string) =>
    await findCredential(readSettings([`--token-file=${folder}/${name}`], {}), {
      environment: { PATH: '' },
      deadlineMs: 1,
    })
  test.strictSame(await read('token'), { username: 'token-file', secret: boundToken })
  writeFileSync(`${folder}/token`, 'eyJ.eyJleHAiOjk5OTk5OTk5OTl9.y')
  test.strictSame(await read('token'), { username: 'token-file', secret: 'eyJ.eyJleHAiOjk5OTk5OTk5OTl9.y' })
  await test.rejects(read('absent'), { message: `${folder}/absent cannot be read (ENOENT)` })
  await test.rejects(read('empty'), { message: `${folder}/empty holds no token` })
  await test.rejects(read('expired'), {
    message: `the token in ${folder}/expired expired at 1970-01-01T00:00:01.000Z: renew the file`,
  })
})
