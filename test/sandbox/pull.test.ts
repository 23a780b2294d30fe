import { createHash } from 'node:crypto'
import { createServer, type RequestListener } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import type { Test } from 'tap'
import { createLogger } from '../../src/telemetry/logging.ts'
import { pull, PullError } from '../../src/sandbox/pull.ts'
import { startSandbox } from '../../src/sandbox/sandbox.ts'
import { projectDirectories as rbac } from './app-ci/project-manifests.ts'

const registryFor = async (test: Test, handle: RequestListener): Promise<string> => {
  const server = createServer(handle).listen(0, '127.0.0.1')
  await once(server, 'listening')
  test.teardown(() => server.close().closeAllConnections())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const wanted = { repository: 'a/b', reference: 'c', username: 'alice', password: 'x' }

await t.test('whole images, in every form, through the whole system', async (test) => {
  const sandbox = await startSandbox({ logger: createLogger('silent'), rbac, port: 0 })
  test.teardown(sandbox.close)
  const password = sandbox.kubernetes.issueUserToken({ username: 'alice', groups: ['qci-image-pullers'] })
  const as = { registry: sandbox.url, username: 'alice', password }
  const lines: string[] = []
  const onProgress = (line: string) => void lines.push(line)
  const pulled = await pull({ ...as, repository: 'ocp/4.5', reference: 'base', onProgress, parallel: 2 })
  test.match(pulled, { digest: sandbox.stock.tags[0]?.digest, blobs: 16 })
  test.strictSame(pulled.platforms, ['linux/amd64', 'linux/arm64', 'linux/ppc64le', 'linux/s390x'])
  test.equal(lines.length, 5 + pulled.blobs)
  const { digest } = pulled
  test.equal((await pull({ ...as, repository: 'openshift/ci', reference: digest })).bytes, pulled.bytes)
  const plain = await pull({ ...as, repository: 'openshift/ci', reference: 'latest' })
  test.match(plain, { platforms: [], blobs: 3 })
  await test.rejects(pull({ ...as, repository: 'ocp/4.4', reference: 'base' }), {
    name: 'PullError',
    message: /^404 MANIFEST_UNKNOWN: ocp_4.4_base is not in QCI/,
  })
  await test.rejects(pull({ ...as, password: 'wrong', repository: 'ocp/4.5', reference: 'base' }), {
    message: /^401 UNAUTHORIZED: /,
  })
})

await t.test('a registry without a challenge', async (test) => {
  const registry = await registryFor(test, (_request, response) => void response.end('true'))
  await test.rejects(pull({ registry, ...wanted }), { message: 'no challenge: 200 ' })
  const basic = await registryFor(test, (_request, response) => {
    response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end()
  })
  await test.rejects(pull({ registry: basic, ...wanted }), { message: 'no challenge: 401 Basic realm="x"' })
})

await t.test('a manifest that names nothing is all there is to pull', async (test) => {
  const registry = await registryFor(test, (request, response) => {
    if (request.url === '/v2/')
      response
        .setHeader('www-authenticate', `Bearer realm="${registry}/auth",service="x"`)
        .writeHead(401)
        .end()
    else if (request.url?.startsWith('/auth')) response.end('{"token":"t"}')
    else response.setHeader('docker-content-digest', digest).end('{}')
  })
  const digest = `sha256:${createHash('sha256').update('{}').digest('hex')}`
  test.strictSame(await pull({ registry, ...wanted }), { digest, platforms: [], blobs: 0, bytes: 0 })
})

await t.test('bytes that are not those that were announced; an error that is no OCI JSON', async (test) => {
  const registry = await registryFor(test, (request, response) => {
    if (request.url === '/v2/')
      response
        .setHeader('www-authenticate', `Bearer realm="${registry}/auth",service="x"`)
        .writeHead(401)
        .end()
    else if (request.url?.startsWith('/auth')) response.end('{"token":"t"}')
    else if (request.url?.endsWith('/c')) response.setHeader('docker-content-digest', 'sha256:0').end('{}')
    else response.writeHead(502).end('<html>')
  })
  await test.rejects(pull({ registry, ...wanted }), {
    message: /^c: sha256:\w+ arrived, sha256:0 was announced$/,
  })
  const error: unknown = await pull({ registry, ...wanted, reference: 'd' }).catch(
    (caught: unknown) => caught,
  )
  test.ok(error instanceof PullError)
  test.match(error, { status: 502, message: '502 <html>' })
})
