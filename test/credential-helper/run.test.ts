import { readFileSync } from 'node:fs'
import { Readable } from 'node:stream'
import { parse } from 'yaml'
import t from 'tap'
import manifest from '../../package.json' with { type: 'json' }
import { run, usage } from '../../src/credential-helper/run.ts'
import { variableOf } from '../../src/credential-helper/settings.ts'
import { boundToken, fakeOc, loggedIn, token } from './fake-oc.ts'

const host = 'quay-proxy.ci.openshift.org'
const json = (value: unknown) => ({ stdout: `${JSON.stringify(value)}\n`, stderr: '', exitCode: 0 })
const refused = (text: string) => ({ stdout: `${text}\n`, stderr: '', exitCode: 1 })
const credential = { ServerURL: host, Username: 'alice', Secret: token }
const request = {
  apiVersion: 'credentialprovider.kubelet.k8s.io/v1',
  kind: 'CredentialProviderRequest',
  image: `${host}/ocp/4.5`,
}

await t.test('each action, as clients start it', async (test) => {
  const { environment, calls } = fakeOc(test, loggedIn)
  const act = async (args: readonly string[], input: string) =>
    await run(args, { environment, input: Readable.from([Buffer.from(input)]) })
  test.strictSame(await act(['get'], `${host}\n`), json(credential))
  test.strictSame(
    await act(['--service-account=my-team/image-puller', 'get'], host),
    json({ ServerURL: host, Username: 'system-serviceaccount-my-team-image-puller', Secret: boundToken }),
  )
  test.strictSame(await act(['list'], ''), json({ [host]: 'alice' }))
  test.match(await act(['kubelet', `--hosts=${host}`], JSON.stringify(request)), {
    stdout: `"auth":{"${host}":{"username":"alice","password":"${token}"}}`,
    exitCode: 0,
  })
  test.strictSame(await act(['get'], 'docker.io'), refused('credentials not found in native keychain'))
  const login = JSON.stringify({ ServerURL: host, Username: 'alice', Secret: 'hunter2' })
  test.match(await act(['store'], login), { stdout: /stores nothing/, exitCode: 1 })
  test.strictSame(await act(['erase'], host), { stdout: '', stderr: '', exitCode: 0 })
  for (const call of calls())
    for (const secret of [token, boundToken, 'hunter2']) test.notOk(call.includes(secret), 'a secret in argv')
})

await t.test('errors are on the output for docker, on the error output for the kubelet', async (test) => {
  const environment = { PATH: test.testdir({}) }
  const missing = 'oc is not on the PATH: install it, then oc login'
  test.strictSame(await run(['get'], { environment, input: Readable.from([host]) }), refused(missing))
  test.strictSame(await run(['kubelet'], { environment, input: Readable.from([JSON.stringify(request)]) }), {
    stdout: '',
    stderr: `${missing}\n`,
    exitCode: 1,
  })
})

await t.test('usage, help and version', async (test) => {
  const act = async (...args: readonly string[]) =>
    await run(args, { environment: {}, input: Readable.from([host]) })
  for (const args of [[], ['got'], ['toString'], ['get', 'list'], ['get', '--token-file']])
    test.strictSame(await act(...args), { stdout: usage, stderr: '', exitCode: 1 }, args.join(' '))
  for (const arg of ['help', '--help', '-h'])
    test.strictSame(await act(arg), { stdout: usage, stderr: '', exitCode: 0 })
  for (const arg of ['version', '--version', '-v'])
    test.strictSame(await act(arg), {
      stdout: `docker-credential-quay-proxy (quay-proxy) ${manifest.version}\n`,
      stderr: '',
      exitCode: 0,
    })
})

await t.test('attack: an endless input', async (test) => {
  const environment = {}
  const input = Readable.from(['a'.repeat(40_000), 'b'.repeat(40_000)])
  test.strictSame(await run(['get'], { environment, input }), refused('the input is too long'))
})

await t.test('an error that nobody expects is not hidden', async (test) => {
  const input = Readable.from([1]).map(() => {
    throw new TypeError('a bug')
  })
  await test.rejects(run(['get'], { environment: {}, input }), { message: 'a bug' })
})

await t.test('the sample configuration of the kubelet in docs/clients.md', async (test) => {
  const document = readFileSync('docs/clients.md', 'utf8')
  const [, sample = ''] = /```yaml\n([\s\S]*?)\n```/.exec(document) ?? []
  const { providers } = parse(sample) as {
    providers: { name: string; apiVersion: string; matchImages: string[]; args: string[] }[]
  }
  const [{ name, apiVersion, matchImages, args } = test.fail('no provider') as never] = providers
  test.ok(Object.hasOwn(manifest.bin, name))
  test.strictSame([apiVersion, matchImages], [request.apiVersion, [host]])
  const input = Readable.from([JSON.stringify({ ...request, serviceAccountToken: boundToken })])
  const { stdout, exitCode } = await run(args, { environment: {}, input })
  test.equal(exitCode, 0)
  test.match(JSON.parse(stdout), { apiVersion, auth: { [host]: { password: boundToken } } })
})

await t.test('docs/clients.md has each flag and its variable', async (test) => {
  const document = readFileSync('docs/clients.md', 'utf8')
  const flags = usage.match(/--[a-z-]+/g) ?? []
  test.equal(flags.length, 6)
  for (const flag of flags)
    test.match(document, `| \`...${variableOf(flag.slice(2)).slice('DOCKER_CREDENTIAL_QUAY_PROXY'.length)}\``)
})
