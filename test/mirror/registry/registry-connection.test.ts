import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import t from 'tap'
import type { Test } from 'tap'
import { mirrorUserAgent } from '../../../src/config/version.ts'
import { RegistryConnection } from '../../../src/mirror/registry/registry-connection.ts'
import { digestOf, startPushableRegistry } from '../../support/pushable-registry.ts'

const started = async (test: Test) => {
  const registry = await startPushableRegistry(test)
  const content = Buffer.from('bytes')
  registry.repository('a/b').blobs.set(digestOf(content), content)
  const connection = new RegistryConnection({ origin: registry.origin, maxConnections: 2, ca: '' })
  test.teardown(async () => await connection.close())
  const url = new URL(`/v2/a/b/blobs/${digestOf(content)}`, registry.origin)
  return { registry, connection, url }
}

await t.test('one request', async (t) => {
  const { registry, connection, url } = await started(t)
  const reply = await connection.send({ method: 'GET', url, headers: { range: 'bytes=1-' } }, 'Bearer x')
  t.equal(reply.status, 206)
  t.equal((await buffer(reply.body)).toString(), 'ytes')
  t.match(registry.requests, [{ authorization: 'Bearer x' }])
  const post = new URL('/v2/a/b/manifests/c', registry.origin)
  const { signal } = new AbortController()
  const put = await connection.send({ method: 'PUT', url: post, body: Buffer.from('{}'), signal }, undefined)
  t.equal(put.status, 201)
})

await t.test('a redirect is followed without the token', async (t) => {
  const { registry, connection, url } = await started(t)
  const seen: (string | undefined)[] = []
  const storage = createServer((request, response) => {
    seen.push(request.headers.authorization, request.headers['user-agent'])
    response.end('stored')
  })
  storage.listen(0, '127.0.0.1')
  await once(storage, 'listening')
  t.teardown(() => storage.close().closeAllConnections())
  registry.storage = new URL(`http://127.0.0.1:${(storage.address() as AddressInfo).port}`)
  const reply = await connection.send({ method: 'GET', url }, 'Bearer x')
  t.equal((await buffer(reply.body)).toString(), 'stored')
  t.strictSame(seen, [undefined, mirrorUserAgent])
})

await t.test('attack: a storage that asks for a login', async (t) => {
  const { registry, connection, url } = await started(t)
  registry.storage = registry.origin
  for (const status of [401, 403]) {
    registry.fault = ({ path }) => (path.startsWith('/v2/') ? undefined : { status })
    await t.rejects(connection.send({ method: 'GET', url }, 'Bearer x'), {
      name: 'RegistryFailure',
      kind: 'transient',
      message: `the storage of ${registry.host} answered ${status}`,
    })
  }
  t.notOk(registry.requests.some(({ path, authorization }) => !path.startsWith('/v2/') && authorization))
})

await t.test('redirects that lead nowhere', async (t) => {
  const { registry, connection, url } = await started(t)
  registry.fault = () => ({ status: 302, headers: { location: '/v2/' } })
  await t.rejects(connection.send({ method: 'HEAD', url }, undefined), {
    name: 'RegistryFailure',
    message: /too many times/,
  })
  registry.fault = () => ({ status: 302, headers: { location: 'ftp://x/' } })
  await t.rejects(connection.send({ method: 'GET', url }, undefined), {
    name: 'RegistryFailure',
    kind: 'broken',
  })
  t.equal((await connection.send({ method: 'POST', url }, undefined)).status, 302, 'a write follows none')
})

await t.test('a registry without a listener', async (t) => {
  const connection = new RegistryConnection({ origin: new URL('http://127.0.0.1:1'), maxConnections: 1 })
  t.teardown(async () => await connection.close())
  await t.rejects(connection.send({ method: 'GET', url: new URL('http://127.0.0.1:1/v2/') }, undefined), {
    name: 'RegistryFailure',
    kind: 'transient',
    message: '127.0.0.1:1 cannot be reached: connect ECONNREFUSED 127.0.0.1:1',
  })
})

await t.test('attack: a write waits for its connection for longer than the permit lasts', async (t) => {
  const seen: string[] = []
  const first = Promise.withResolvers<void>()
  const registry = createServer((request, response) => {
    seen.push(`${request.method} ${request.url}`)
    // The first request holds the only connection until the permit is lost.
    const turn = seen.length === 1 ? first.promise : Promise.resolve()
    void turn.then(() => response.end('stored'))
  })
  registry.listen(0, '127.0.0.1')
  await once(registry, 'listening')
  t.teardown(() => registry.close().closeAllConnections())
  const origin = new URL(`http://127.0.0.1:${(registry.address() as AddressInfo).port}`)
  const connection = new RegistryConnection({ origin, maxConnections: 1 })
  t.teardown(async () => await connection.close())
  let isHeld = true
  const permit = { isHeld: () => isHeld }
  const send = async (path: string) =>
    await connection.send(
      { method: 'PUT', url: new URL(path, origin), body: Buffer.from('x'), permit },
      undefined,
    )
  const before = send('/before')
  while (seen.length === 0) await new Promise((resolve) => setTimeout(resolve, 1))
  const late = send('/late')
  isHeld = false
  first.resolve()
  t.equal((await before).status, 200)
  await buffer((await before).body)
  await t.rejects(late, { name: 'PermitLost' })
  isHeld = true
  const again = await send('/again')
  t.equal((await buffer(again.body)).toString(), 'stored')
  t.strictSame(seen, ['PUT /before', 'PUT /again'])
})
