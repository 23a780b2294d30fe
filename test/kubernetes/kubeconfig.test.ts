import { once } from 'node:events'
import { rmSync, writeFileSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { createApiServer } from '../../src/kubernetes/api-server.ts'
import { loadKubeConfig } from '../../src/kubernetes/kubeconfig.ts'
import { kubeConfigOf } from './kubeconfig-of.ts'

await t.test('kubeconfig: what is wrong with it is said, its content is not', async (test) => {
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

await t.test('a good kubeconfig', async (test) => {
  const directory = test.testdir({
    http: kubeConfigOf(1),
    https: kubeConfigOf(1, { scheme: 'https', insecure: false }),
  })
  for (const scheme of ['http', 'https'])
    test.equal(loadKubeConfig(join(directory, scheme)).getCurrentCluster()?.server, `${scheme}://127.0.0.1:1`)
})

await t.test('a kubeconfig that names a file which is not there', async (test) => {
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

await t.test(
  'a kubeconfig with a tokenFile: its content is shown, and counts before a token',
  async (test) => {
    const shown: (string | undefined)[] = []
    const server = createHttpServer((request, response) => {
      shown.push(request.headers.authorization)
      response.setHeader('content-type', 'application/json').writeHead(201).end('{}')
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
  },
)

await t.test('no kubeconfig: who the pod is, or an error outside of one', async (test) => {
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
    message: '--kubeconfig is missing: outside a pod it says where app.ci is',
  })
})
