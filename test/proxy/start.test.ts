import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { Agent as HttpAgent, get, type IncomingMessage } from 'node:http'
import { connect, createServer, type AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import { mock } from 'node:test'
import { connect as connectTls, type PeerCertificate } from 'node:tls'
import t from 'tap'
import type { Test } from 'tap'
import { parseConfig } from '../../src/config/config.ts'
import { createLogger } from '../../src/telemetry/logging.ts'
import { startProxy } from '../../src/proxy/start.ts'
import { startSandbox, type Sandbox } from '../../src/sandbox/sandbox.ts'
import { bucket, s3Credentials, startS3 } from '../support/s3-server.ts'
import { until } from '../support/until.ts'
import { projectDirectories as rbac, projectManifests } from '../sandbox/app-ci/project-manifests.ts'
import { ask } from '../sandbox/quay/quay-client.ts'
import { anotherSelfSigned, selfSigned } from '../support/tls.ts'

/** Replaces the clock of whatever looks at files every few seconds: `look` makes it look now. */
const watching = (test: Test) => {
  mock.timers.enable({ apis: ['setInterval'] })
  test.teardown(() => mock.timers.reset())
  return { look: () => mock.timers.tick(10_000), end: () => mock.timers.reset() }
}

const start = async (test: Test, flags: readonly string[] = []) => {
  const lines: string[] = []
  const logger = createLogger('info', { write: (line) => void lines.push(line) })
  const sandbox = await startSandbox({ logger, rbac, port: 0, flags })
  test.teardown(sandbox.close)
  const token = sandbox.kubernetes.issueUserToken({ username: 'alice', groups: ['qci-image-pullers'] })
  return { sandbox, lines, logger, authorization: `Bearer ${token}` }
}

/** The flags with which another proxy asks the same sandbox. */
const flagsOf = ({ quay, files }: Sandbox): string[] => [
  `--robot-username-file=${join(dirname(files.password), 'username')}`,
  `--robot-password-file=${files.password}`,
  `--token-secret-file=${files.tokenSecret}`,
  `--kubeconfig=${join(dirname(files.password), 'kubeconfig')}`,
  `--upstream=${quay.url}`,
  '--grace-period=0',
]

const layerOf = async ({ url }: Sandbox, authorization: string): Promise<string> => {
  const read = async (reference: string) =>
    JSON.parse(String((await ask(`${url}/v2/ocp/4.5/manifests/${reference}`, { authorization })).body)) as {
      manifests: [{ digest: string }]
      layers: { digest: string }[]
    }
  const index = await read('base')
  const { layers } = await read(index.manifests[0].digest)
  return layers.at(-1)?.digest ?? ''
}

const open = async (url: string, headers: Record<string, string>, agent?: HttpAgent) => {
  const request = get(url, { headers, agent: agent ?? false })
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  return response
}

const isRefused = async (url: string): Promise<boolean> => {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  return (await new Promise((settle) => {
    socket.once('connect', () => settle(false)).once('error', () => settle(true))
  }).finally(() => socket.destroy())) as boolean
}

await t.test('a proxy serves, logs its address, and serves its metrics on another port', async (test) => {
  const { sandbox, lines } = await start(test)
  test.match(JSON.parse(lines.find((line) => line.includes('"listening"')) ?? '{}'), {
    url: sandbox.url,
    metricsUrl: sandbox.metricsUrl,
    upstream: sandbox.quay.url,
    exposed: sandbox.url,
  })
  test.equal((await ask(`${sandbox.url}/v2/`)).status, 401)
  test.match(String((await ask(`${sandbox.metricsUrl}/metrics`)).body), 'quay_proxy_requests_total')
})

await t.test('with --cache-dir a pulled layer is on the disk, and served from there', async (test) => {
  const directory = join(test.testdir(), 'cache')
  const { sandbox, authorization } = await start(test, [`--cache-dir=${directory}`])
  const layer = `${sandbox.url}/v2/ocp/4.5/blobs/${await layerOf(sandbox, authorization)}`
  const first = await ask(layer, { authorization })
  test.equal(first.status, 200)
  const requestsBefore = sandbox.quay.requests.length
  test.ok((await ask(layer, { authorization })).body.equals(first.body))
  test.equal(sandbox.quay.requests.length, requestsBefore, 'no request for the second pull')
  await sandbox.close()
  test.ok(existsSync(directory))
})

await t.test('with --cache-s3 a pulled layer is in the bucket, for other replicas', async (test) => {
  const s3 = await startS3(test)
  const { accessKeyId, secretAccessKey } = s3Credentials
  const keys = `aws_access_key_id=${accessKeyId}\naws_secret_access_key=${secretAccessKey}\n`
  const folder = test.testdir({ credentials: keys })
  const { sandbox, lines, authorization } = await start(test, [
    `--cache-dir=${join(folder, 'cache')}`,
    `--cache-s3=s3://${bucket}`,
    `--cache-s3-endpoint=${s3.url.origin}`,
    `--cache-s3-credentials-file=${join(folder, 'credentials')}`,
  ])
  const digest = await layerOf(sandbox, authorization)
  const { body } = await ask(`${sandbox.url}/v2/ocp/4.5/blobs/${digest}`, { authorization })
  const key = `blobs/sha256/${digest.slice(7, 9)}/${digest.slice(7)}`
  await until(() => s3.objects.get(key)?.equals(body) === true)
  test.match(String((await ask(`${sandbox.url}/readyz?verbose`)).body), 'cache in S3: in use')
  await sandbox.close()
  for (const secret of [accessKeyId, secretAccessKey, 'X-Amz-'])
    test.notOk(lines.some((line) => line.includes(secret)))
})

await t.test('without --metrics-addr no metrics are served', async (test) => {
  const { sandbox, logger } = await start(test)
  const proxy = await startProxy(parseConfig([...flagsOf(sandbox), '--listen-addr=127.0.0.1:0'], {}), logger)
  test.equal(proxy.metricsUrl, undefined)
  await proxy.stop()
  test.ok(await isRefused(proxy.url))
})

await t.test('probes of the kubelet are answered while the client port is full', async (test) => {
  const { sandbox, logger } = await start(test)
  const addresses = ['--listen-addr=127.0.0.1:0', '--metrics-addr=127.0.0.1:0']
  const proxy = await startProxy(parseConfig([...flagsOf(sandbox), ...addresses], {}), logger, {
    maxConnections: 1,
  })
  test.teardown(proxy.stop)
  const held = connect(Number(new URL(proxy.url).port), '127.0.0.1')
  test.teardown(() => held.destroy())
  await once(held, 'connect')
  await test.rejects(ask(`${proxy.url}/healthz`))
  const probe = async (path: string) => await ask(`${proxy.metricsUrl}${path}`)
  test.equal((await probe('/healthz')).status, 200)
  while ((await probe('/readyz')).status !== 200) await new Promise((settle) => setTimeout(settle, 20))
  test.match(String((await probe('/metrics')).body), 'quay_proxy_shed_total{reason="connections"} 1')
})

await t.test(
  'a stop reports not ready, then refuses connections, while a running pull completes',
  async (test) => {
    const { sandbox, authorization, lines } = await start(test, ['--grace-period=4s'])
    const { url, quay, proxy } = sandbox
    const layer = await layerOf(sandbox, authorization)
    const path = `${url}/v2/ocp/4.5/blobs/${layer}`
    const content = (await ask(path, { authorization })).body
    let finish = (): void => undefined
    quay.fault({
      origin: 'cdn',
      path: /./,
      raw: (_request, response) => {
        response.writeHead(200, { 'content-length': content.length }).write(content.subarray(0, 5))
        finish = () => void response.end(content.subarray(5))
      },
    })
    const agent = new HttpAgent({ keepAlive: true })
    test.teardown(() => agent.destroy())
    const blob = await open(path, { authorization }, agent)
    const received = blob.toArray() as Promise<Buffer[]>
    const stopped = proxy.stop()
    for (const origin of [url, sandbox.metricsUrl]) {
      const ready = await ask(`${origin}/readyz`)
      test.match([ready.status, String(ready.body)], [503, 'shutting down\n'])
    }
    test.equal(
      (await ask(`${url}/v2/ocp/4.5/manifests/base`, { authorization })).status,
      200,
      'still serving',
    )
    while (!(await isRefused(url))) await new Promise((settle) => setTimeout(settle, 10))
    finish()
    test.same(Buffer.concat(await received), content)
    await stopped
    test.notMatch(lines.join(''), 'cutting', 'a connection that is kept alive is not waited for')
    test.ok(await isRefused(sandbox.metricsUrl))
  },
)

await t.test('a pull that runs after the grace period is cut', async (test) => {
  const { sandbox, authorization, lines } = await start(test, ['--grace-period=200ms'])
  const layer = await layerOf(sandbox, authorization)
  sandbox.quay.fault({ origin: 'cdn', path: /./, stallAfterBytes: 1000 })
  const blob = await open(`${sandbox.url}/v2/ocp/4.5/blobs/${layer}`, { authorization })
  const received = blob.toArray()
  const cut = test.rejects(received, { code: 'ECONNRESET' }, 'trap 36: never a clean end')
  await sandbox.proxy.stop()
  await cut
  test.match(lines.join(''), 'grace period exceeded; closing remaining connections')
})

await t.test(
  'a request on a connection that is busy at the stop is served, then the connection ends',
  async (test) => {
    const { sandbox, authorization } = await start(test, ['--grace-period=4s'])
    const { quay, url } = sandbox
    const layer = await layerOf(sandbox, authorization)
    const held = Promise.withResolvers<() => void>()
    quay.fault({
      origin: 'cdn',
      path: /./,
      raw: (_request, response) => {
        response.writeHead(200, { 'content-length': 1 }).flushHeaders()
        held.resolve(() => void response.end('x'))
      },
    })
    const socket = connect(Number(new URL(url).port), '127.0.0.1')
    test.teardown(() => socket.destroy())
    await once(socket, 'connect')
    const line = (target: string) =>
      `GET ${target} HTTP/1.1\r\nhost: a\r\nauthorization: ${authorization}\r\n\r\n`
    socket.write(line(`/v2/ocp/4.5/blobs/${layer}`))
    const finish = await held.promise
    const stopped = sandbox.proxy.stop()
    while (!(await isRefused(url))) await new Promise((settle) => setTimeout(settle, 10))
    socket.write(line('/healthz'))
    finish()
    const answers = Buffer.concat((await socket.toArray()) as Buffer[]).toString('latin1')
    test.equal(answers.match(/HTTP\/1\.1 200 OK/g)?.length, 2)
    test.notMatch(answers, 'Service Unavailable')
    await stopped
  },
)

await t.test(
  'an address that is taken is an error with its flag, and leaves nothing running',
  async (test) => {
    const { sandbox, logger } = await start(test)
    const free = createServer().listen(0, '127.0.0.1')
    await once(free, 'listening')
    const { port } = free.address() as AddressInfo
    free.close()
    await once(free, 'close')
    const taken = new URL(sandbox.url).host
    const listening = (...flags: string[]) =>
      startProxy(parseConfig([...flagsOf(sandbox), ...flags], {}), logger)
    await test.rejects(listening(`--listen-addr=${taken}`), { message: /^--listen-addr: .*EADDRINUSE/ })
    await test.rejects(listening(`--listen-addr=127.0.0.1:${port}`, `--metrics-addr=${taken}`), {
      message: /^--metrics-addr: .*EADDRINUSE/,
    })
    test.ok(await isRefused(`http://127.0.0.1:${port}`))
  },
)

await t.test('a reload looks at all files', async (test) => {
  const { sandbox, lines, logger } = await start(test)
  const proxy = await startProxy(parseConfig([...flagsOf(sandbox), '--listen-addr=127.0.0.1:0'], {}), logger)
  test.teardown(proxy.stop)
  proxy.reload()
  test.match(lines.join(''), 'looked at the files')
})

await t.test('not ready until app.ci was reached, which is retried', async (test) => {
  const { sandbox, logger } = await start(test)
  sandbox.kubernetes.fault({ kind: 'status', status: 500 })
  const proxy = await startProxy(parseConfig([...flagsOf(sandbox), '--listen-addr=127.0.0.1:0'], {}), logger)
  test.teardown(proxy.stop)
  const before = sandbox.kubernetes.requests.subjectAccessReviews
  await until(() => sandbox.kubernetes.requests.subjectAccessReviews > before)
  test.match(String((await ask(`${proxy.url}/readyz`)).body), 'the API server was not reached yet')
  sandbox.kubernetes.fault({ kind: 'none' })
  while ((await ask(`${proxy.url}/readyz`)).status !== 200)
    await new Promise((settle) => setTimeout(settle, 20))
})

await t.test('a start that cannot work logs its reason, and no secret', async (test) => {
  const { sandbox, lines, logger } = await start(test)
  // As if the ClusterRoleBinding was forgotten.
  sandbox.kubernetes.replaceObjects([])
  sandbox.quay.setRobot({ ...sandbox.robot, password: 'another' })
  const args = [...flagsOf(sandbox), '--listen-addr=127.0.0.1:0', '--restricted-index=off']
  const proxy = await startProxy(parseConfig(args, {}), logger)
  test.teardown(proxy.stop)
  const told = (message: string) => lines.filter((line) => line.includes(message))
  await until(
    () => told('cannot reach the app.ci API server').length > 0 && told('cannot reach upstream').length > 0,
  )
  test.match(JSON.parse(told('cannot reach the app.ci')[0] ?? ''), {
    level: 'warn',
    msg: 'cannot reach the app.ci API server; retrying',
    err: { cause: { message: 'API server answered 403' } },
  })
  test.match(JSON.parse(told('cannot reach upstream')[0] ?? ''), {
    level: 'warn',
    msg: 'cannot reach upstream; retrying',
    err: { cause: { message: 'token endpoint answered 401' } },
  })
  sandbox.kubernetes.replaceObjects(projectManifests)
  while ((await ask(`${proxy.url}/readyz`)).status !== 200)
    await new Promise((settle) => setTimeout(settle, 20))
  await until(() => told('app.ci is reached').length === 1)
  const secrets = [sandbox.robot.password, /token: (\S+)/.exec(sandbox.kubernetes.kubeconfig())?.[1] ?? '']
  for (const secret of secrets) test.equal(told(secret).length, 0)
})

await t.test('a proxy that is stopped before app.ci was reached sends no further requests', async (test) => {
  const { sandbox, logger } = await start(test)
  sandbox.kubernetes.fault({ kind: 'reset' })
  sandbox.quay.fault({ origin: 'quay', path: /./, reset: true, count: Infinity })
  const proxy = await startProxy(parseConfig([...flagsOf(sandbox), '--listen-addr=127.0.0.1:0'], {}), logger)
  const before = sandbox.kubernetes.requests.subjectAccessReviews
  await until(() => sandbox.kubernetes.requests.subjectAccessReviews > before)
  await proxy.stop()
  test.ok(await isRefused(proxy.url))
})

await t.test('a renewed certificate is used for the next connection', async (test) => {
  const { look, end } = watching(test)
  const { sandbox, logger } = await start(test)
  const [first, second] = [selfSigned(), anotherSelfSigned()]
  const folder = test.testdir()
  const [cert, key] = [join(folder, 'cert'), join(folder, 'key')]
  writeFileSync(cert, first.cert ?? '')
  writeFileSync(key, first.key ?? '')
  const tls = ['--listen-addr=127.0.0.1:0', `--tls-cert-file=${cert}`, `--tls-key-file=${key}`]
  const proxy = await startProxy(parseConfig([...flagsOf(sandbox), ...tls], {}), logger)
  const shown = async (): Promise<PeerCertificate> => {
    const port = Number(new URL(proxy.url).port)
    const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false })
    await once(socket, 'secureConnect')
    const certificate = socket.getPeerCertificate()
    socket.destroy()
    return certificate
  }
  const before = await shown()
  writeFileSync(cert, second.cert ?? '')
  look()
  test.equal((await shown()).fingerprint256, before.fingerprint256, 'half a rotation changes nothing')
  writeFileSync(key, second.key ?? '')
  look()
  test.not((await shown()).fingerprint256, before.fingerprint256)
  end()
  await proxy.stop()
})

await t.test("the robot's new password is used without a restart", async (test) => {
  const { look, end } = watching(test)
  const { sandbox, authorization } = await start(test)
  const { quay, robot, files, url } = sandbox
  const logins = () =>
    quay.requests.filter((request) => request.url.startsWith('/v2/auth')).map((request) => request.headers)
  test.equal(logins().length, 1)
  const next = { username: robot.username, password: 'the next password' }
  quay.setRobot(next)
  writeFileSync(files.password, next.password)
  look()
  end()
  test.equal((await ask(`${url}/v2/ocp/4.5/manifests/base`, { authorization })).status, 200)
  test.equal(logins().length, 2)
  test.equal(logins()[1]?.authorization, `Basic ${btoa(`${next.username}:${next.password}`)}`)
})

await t.test('a revoked robot is refused on the same connection, after the next reload', async (test) => {
  const { look, end } = watching(test)
  const { sandbox } = await start(test)
  const { robot, files, url, kubernetes } = sandbox
  const agent = new HttpAgent({ keepAlive: true, maxSockets: 1 })
  test.teardown(() => agent.destroy())
  const statusOf = async (headers: Record<string, string>) => {
    const response = await open(`${url}/v2/`, headers, agent)
    response.resume()
    await once(response, 'end')
    return response.statusCode
  }
  const logIn = async (password = robot.password) => {
    const basic = { authorization: `Basic ${btoa(`${robot.username}:${password}`)}` }
    const { token } = JSON.parse(String((await ask(`${url}/v2/auth`, basic)).body)) as { token: string }
    return { authorization: `Bearer ${token}` }
  }
  const write = (file: string, content: string) => {
    writeFileSync(file, content)
    look()
  }
  const username = join(dirname(files.password), 'username')
  const [first, second] = [readFileSync(files.tokenSecret, 'utf8'), 'b1946ac92492d2347c6235b4d2611184']
  const before = await logIn()
  write(files.tokenSecret, `${second}\n${first}`)
  const after = await logIn()
  test.strictSame([await statusOf(before), await statusOf(after)], [200, 200], 'a rotation logs nobody out')
  write(files.tokenSecret, second)
  test.strictSame([await statusOf(before), await statusOf(after)], [401, 200], 'a secret that is taken out')
  write(files.tokenSecret, ' \n')
  test.equal(await statusOf(after), 200, 'what cannot be used changes nothing')
  write(files.password, 'the next password')
  test.equal(await statusOf(after), 401, 'the password was changed')
  const changed = await logIn('the next password')
  test.equal(await statusOf(changed), 200)
  write(username, 'openshift+another')
  test.equal(await statusOf(changed), 401, 'the robot was removed')
  test.equal(kubernetes.requests.tokenReviews, 0, 'no login of a robot is shown to the cluster')
  end()
})
