import { once } from 'node:events'
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { HttpMethod, RequestContext } from '@kubernetes/client-node'
import t from 'tap'
import { createApiServer } from '../../src/kubernetes/api-server.ts'
import { readEvents, readPages } from '../../src/kubernetes/list-and-watch.ts'
import { loadKubeConfig } from '../../src/kubernetes/kubeconfig.ts'
import { review, startForeign } from './answers.ts'
import { kubeConfigOf } from './kubeconfig-of.ts'

await t.test('a bad kubeconfig is named with its fault, without its content', async (test) => {
  const plain = kubeConfigOf(1, { insecure: false })
  const files = {
    garbage: 'users: [ token: "hunter2\n  } {',
    text: 'hunter2',
    binary: '\u0000\u0001hunter2',
    empty: '',
    list: '- hunter2',
    broken: plain.replace('server:', 'no-server:'),
    'no-context': kubeConfigOf(1).replace('current-context: x', ''),
    'other-context': kubeConfigOf(1).replace('current-context: x', 'current-context: hunter2'),
    'no-cluster': kubeConfigOf(1).replace('cluster: c,', 'cluster: other,'),
    plain,
    'no-url': kubeConfigOf(1).replace('http://127.0.0.1:1', 'nowhere'),
    'other-url': kubeConfigOf(1).replace('http:', 'ftp:'),
  }
  const directory = test.testdir(files)
  const invalid = 'is not a valid kubeconfig'
  const contextless = 'has no current-context with a cluster'
  const messages: Readonly<Record<string, string>> = {
    absent: invalid,
    garbage: invalid,
    text: contextless,
    binary: invalid,
    empty: invalid,
    list: contextless,
    broken: invalid,
    'no-context': contextless,
    'other-context': contextless,
    'no-cluster': contextless,
    plain: 'has a cluster on plain http without insecure-skip-tls-verify',
    'no-url': 'has a cluster whose server is no http or https URL',
    'other-url': 'has a cluster whose server is no http or https URL',
  }
  test.strictSame(Object.keys(messages).slice(1), Object.keys(files))
  for (const [name, message] of Object.entries(messages)) {
    const file = join(directory, name)
    try {
      loadKubeConfig(file)
      test.fail(`${name} was loaded`)
    } catch (error) {
      test.ok(error instanceof Error)
      test.strictSame((error as Error).message, `--kubeconfig: ${file} ${message}`)
      test.equal((error as Error).cause, undefined)
      test.notMatch(String((error as Error).stack), /hunter2/)
    }
  }
})

await t.test('a valid kubeconfig', async (test) => {
  const directory = test.testdir({
    http: kubeConfigOf(1),
    https: kubeConfigOf(1, { scheme: 'https', insecure: false }),
  })
  for (const scheme of ['http', 'https'])
    test.equal(loadKubeConfig(join(directory, scheme)).getCurrentCluster()?.server, `${scheme}://127.0.0.1:1`)
})

await t.test('a kubeconfig that names a file that does not exist', async (test) => {
  const https = kubeConfigOf(1, { scheme: 'https', insecure: false })
  const rows: Readonly<Record<string, string>> = {
    'certificate-authority': https.replace("127.0.0.1:1'", "127.0.0.1:1', certificate-authority: away"),
    'client-certificate': https.replace('token: hunter2', 'client-certificate: away, client-key: key'),
    'client-key': https.replace('token: hunter2', 'client-certificate: key, client-key: away'),
    tokenFile: https.replace('token: hunter2', 'tokenFile: away'),
  }
  const directory = test.testdir({ ...rows, key: 'hunter2' })
  for (const name of Object.keys(rows)) {
    const file = join(directory, name)
    const message = `--kubeconfig: ${file} names ${join(directory, 'away')} as ${name}, which cannot be read (ENOENT)`
    test.throws(() => loadKubeConfig(file), { message })
    writeFileSync(join(directory, 'away'), 'x')
    test.doesNotThrow(() => loadKubeConfig(file), `${name} is there`)
    rmSync(join(directory, 'away'))
  }
})

await t.test('the content of a tokenFile is sent, and takes precedence over a token', async (test) => {
  const shown: (string | undefined)[] = []
  const server = createHttpServer((request, response) => {
    shown.push(request.headers.authorization)
    response.setHeader('content-type', 'application/json').writeHead(201).end(review('TokenReview', {}))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  test.teardown(() => server.close())
  const config = kubeConfigOf((server.address() as AddressInfo).port)
  const directory = test.testdir({
    alone: config.replace('token: hunter2', 'tokenFile: token'),
    both: config.replace('token: hunter2', 'token: other, tokenFile: token'),
    token: 'hunter2\n',
  })
  for (const name of ['alone', 'both']) {
    const apiServer = createApiServer({ kubeConfig: loadKubeConfig(join(directory, name)) })
    test.teardown(() => apiServer.close())
    await apiServer.reviewToken({ token: 'x' })
  }
  test.strictSame(shown, ['Bearer hunter2', 'Bearer hunter2'])
})

await t.test(
  "without a kubeconfig, the pod's service account is used; outside of a pod it is an error",
  async (test) => {
    const directory = test.testdir({
      var: { run: { secrets: { 'kubernetes.io': { serviceaccount: { token: 'x', namespace: 'ci' } } } } },
    })
    const env = { ...process.env, KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: '6443' }
    test.intercept(process, 'env', { value: env })
    const kubeConfig = loadKubeConfig(undefined, directory)
    test.equal(kubeConfig.getCurrentCluster()?.server, 'https://127.0.0.1:6443')
    test.match(kubeConfig.getCurrentUser(), {
      authProvider: {
        config: { tokenFile: join(directory, 'var/run/secrets/kubernetes.io/serviceaccount/token') },
      },
    })
    test.throws(() => loadKubeConfig(undefined, join(directory, 'elsewhere')), {
      message: '--kubeconfig is missing: outside of a pod it names the API server of app.ci',
    })
  },
)

await t.test('only dangerous settings cause a warning', async (test) => {
  const https = kubeConfigOf(1, { scheme: 'https', insecure: false })
  const http = kubeConfigOf(1)
  const at = (config: string, host: string) => config.replace('127.0.0.1', host)
  const rows: readonly (readonly [string, RegExp | undefined])[] = [
    [https, undefined],
    [at(https, 'api.ci.example'), undefined],
    [kubeConfigOf(1, { scheme: 'https' }), /insecure-skip-tls-verify: .* certificate-authority-data/],
    [http, undefined],
    [at(http, 'localhost'), undefined],
    [at(http, '[::1]'), undefined],
    [at(http, '127.9.9.9'), undefined],
    [at(http, 'api.ci.example'), /plain http: .* use https/],
    [at(http, '10.0.0.1'), /plain http/],
    [at(http, '[2001:db8::1]'), /plain http/],
    [at(http, 'localhost.example'), /plain http/],
  ]
  for (const [config, warning] of rows) {
    const { warnings } = loadKubeConfig(join(test.testdir({ config }), 'config'))
    test.equal(warnings.length, warning === undefined ? 0 : 1, config)
    if (warning !== undefined) test.match(warnings[0], warning)
    test.notMatch(warnings.join(), /hunter2/)
  }
})

const execConfig = (port: number, exec: string) =>
  kubeConfigOf(port).replace('token: hunter2', `exec: { ${exec} }`)
const v1 = 'apiVersion: client.authentication.k8s.io/v1'

await t.test('an exec plugin that cannot work is refused at the start', async (test) => {
  const rows: readonly (readonly [string, RegExp])[] = [
    [v1, /has an exec plugin without a command$/],
    [`${v1}, command: ''`, /without a command/],
    ['command: x', /of an apiVersion that is not known; client.authentication.k8s.io\/v1 is$/],
    ['command: x, apiVersion: client.authentication.k8s.io/v1alpha1', /apiVersion that is not known/],
    [
      `${v1}, command: x, interactiveMode: Always`,
      /wants to ask somebody .* use a token or a service account/,
    ],
  ]
  for (const [exec, message] of rows) {
    const file = join(test.testdir({ config: execConfig(1, exec) }), 'config')
    test.throws(() => loadKubeConfig(file), { message }, exec)
  }
  const inPath = execConfig(1, `${v1}, command: plugin`)
  test.equal(loadKubeConfig(join(test.testdir({ config: inPath }), 'config')).canRenew, true)
  const both = kubeConfigOf(1).replace('token: hunter2', `token: hunter2, exec: { ${v1} }`)
  test.equal(
    loadKubeConfig(join(test.testdir({ config: both }), 'config')).canRenew,
    false,
    'a token counts before',
  )
})

await t.test('an exec plugin runs once for all requests, and again after a 401', async (test) => {
  const server = await startForeign(test)
  const script = `#!/bin/sh
echo run >> "$(dirname "$0")/runs"
printf '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"t%s"}}' "$(wc -l < "$(dirname "$0")/runs" | tr -d ' ')"
`
  const config = execConfig(server.port, `${v1}, command: ./plugin, provideClusterInfo: true`)
  const directory = test.testdir({ config, plugin: script })
  chmodSync(join(directory, 'plugin'), 0o755)
  const kubeConfig = loadKubeConfig(join(directory, 'config'))
  test.equal(kubeConfig.canRenew, true)
  const apiServer = createApiServer({ kubeConfig, timeoutMs: 10_000 })
  test.teardown(() => apiServer.close())
  const runs = () => readFileSync(join(directory, 'runs'), 'utf8').trim().split('\n').length
  server.answer = { status: 201, body: review('TokenReview', {}) }
  await Promise.all(Array.from({ length: 10 }, async () => await apiServer.reviewToken({ token: 'x' })))
  test.equal(runs(), 1)
  server.accepts = 'Bearer t2'
  await apiServer.reviewToken({ token: 'x' })
  test.equal(runs(), 2)
  await apiServer.reviewToken({ token: 'x' })
  server.accepts = 'Bearer nobody'
  await test.rejects(apiServer.reviewToken({ token: 'x' }), {
    status: 503,
    message: /refuses the proxy itself/,
  })
  test.equal(runs(), 2, 'not for each question')
})

await t.test('attack: no redirect of a list or a watch is followed', async (test) => {
  const [server, elsewhere] = [await startForeign(test), await startForeign(test)]
  elsewhere.answer = { status: 200, body: '{"items":[],"metadata":{"resourceVersion":"1"}}' }
  const file = join(test.testdir({ config: kubeConfigOf(server.port) }), 'config')
  const kubeConfig = loadKubeConfig(file)
  const resource = { group: 'g', version: 'v1', plural: 'things' }
  const { signal } = new AbortController()
  for (const status of [301, 302, 303, 307, 308]) {
    server.answer = { status, body: '', headers: { location: `http://127.0.0.1:${elsewhere.port}/` } }
    await test.rejects(readPages(kubeConfig, resource, signal, () => undefined))
    const error = await readEvents(
      { kubeConfig, resource, signal, silenceMs: 5000, resourceVersion: '1' },
      () => undefined,
    )
    test.ok(error instanceof Error)
  }
  test.equal(elsewhere.asked, 0)
})

await t.test('no request is sent without a connection', async (test) => {
  const kubeConfig = loadKubeConfig(join(test.testdir({ config: kubeConfigOf(1) }), 'config'))
  kubeConfig.createDispatcherOptions = () => ({ type: 'none' }) as never
  kubeConfig.userAgent = 'quay-proxy/0.0.0'
  await test.rejects(
    kubeConfig.applySecurityAuthentication(new RequestContext('http://127.0.0.1:1/', HttpMethod.GET)),
    { message: 'client-node returned no connection pool' },
  )
})
