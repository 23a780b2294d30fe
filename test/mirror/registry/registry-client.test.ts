import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import type { Test } from 'tap'
import type { RegistryRequest } from '../../../src/mirror/registry/registry-client-options.ts'
import { startPushableRegistry, type Fault, type PushableRegistry } from '../../support/pushable-registry.ts'
import { putImage, tag } from '../../support/image-fixtures.ts'
import { clientOf, fastClock } from './clients.ts'

const credential = { username: 'robot', password: 'secret' }
const scopes = ['repository:openshift/ci:pull,push']

const requestTo = (registry: PushableRegistry, request: Partial<RegistryRequest> = {}): RegistryRequest => ({
  method: 'GET',
  url: new URL('/v2/openshift/ci/manifests/a', registry.origin),
  scopes,
  repository: 'openshift/ci',
  image: 'a/b:c',
  isRepeatable: true,
  ...request,
})

const started = async (test: Test, options: Parameters<typeof startPushableRegistry>[1] = {}) => {
  const registry = await startPushableRegistry(test, options)
  tag(registry.repository('openshift/ci'), 'a', putImage(registry.repository('openshift/ci'), 'a'))
  return registry
}

/** The first so many requests have the fault. */
const faulty = (registry: PushableRegistry, fault: Fault, count = Infinity) => {
  registry.fault = () => (registry.requests.length <= count ? fault : undefined)
}

await t.test('one token for all requests of a scope', async (t) => {
  const registry = await started(t, { login: 'bearer' })
  const client = clientOf(t, registry, { credentialOf: () => credential })
  for (let round = 0; round < 3; round++) t.equal((await client.send(requestTo(registry))).status, 200)
  t.equal(registry.requests.length, 4, 'the first one had no token')
  t.strictSame(registry.tokenRequests, [
    `Basic ${Buffer.from('robot:secret').toString('base64')} repository:openshift/ci:pull,push`,
  ])
})

await t.test('a login that the registry refuses', async (t) => {
  const registry = await started(t, { login: 'bearer' })
  const client = clientOf(t, registry, { credentialOf: () => credential })
  await t.rejects(client.send(requestTo(registry, { scopes: ['repository:x/y:pull'] })), {
    name: 'RegistryFailure',
    kind: 'refused',
    message: `${registry.host} refuses GET repository:x/y:pull: 401`,
  })
  t.equal(registry.requests.length, 2)
  registry.fault = () => ({ status: 401 })
  await t.rejects(client.send(requestTo(registry)), { name: 'RegistryFailure', kind: 'refused' })
})

await t.test('a transient error is retried if that is safe', async (t) => {
  const registry = await started(t)
  const client = clientOf(t, registry)
  faulty(registry, { status: 503 }, 2)
  t.equal((await client.send(requestTo(registry))).status, 200)
  t.equal(registry.requests.length, 3)
  registry.requests.length = 0
  faulty(registry, 'cut before', 2)
  t.equal((await client.send(requestTo(registry))).status, 200)
  registry.requests.length = 0
  faulty(registry, { status: 500 })
  const failure = {
    name: 'RegistryFailure',
    kind: 'transient',
    message: `${registry.host} answered 500 to GET`,
  }
  await t.rejects(client.send(requestTo(registry)), failure)
  t.equal(registry.requests.length, 5, 'five tries')
  await t.rejects(client.send(requestTo(registry, { isRepeatable: false })), failure)
  t.equal(registry.requests.length, 6, 'one try')
})

await t.test('429 and Retry-After pause the registry for everybody', async (t) => {
  const registry = await started(t)
  const pauses: number[] = []
  const client = clientOf(t, registry, { observePause: (ms) => pauses.push(ms) })
  faulty(registry, { status: 429, headers: { 'retry-after': '10' } }, 1)
  const began = fastClock.now()
  const first = client.send(requestTo(registry))
  while (registry.requests.length === 0) await new Promise((resolve) => setTimeout(resolve, 1))
  await new Promise((resolve) => setTimeout(resolve, 20))
  const others = [1, 2, 3].map(async (n) => await client.send(requestTo(registry, { image: `image ${n}` })))
  await new Promise((resolve) => setTimeout(resolve, 50))
  t.equal(registry.requests.length, 1, 'nobody else is sent meanwhile')
  for (const reply of await Promise.all([first, ...others])) t.equal(reply.status, 200)
  t.ok(fastClock.now() - began >= 10_000)
  t.equal(registry.requests.length, 5)
  t.equal(pauses.length, 1)
  t.ok((pauses[0] as number) > 9000, `paused for ${pauses[0]} ms`)
  registry.requests.length = 0
  faulty(registry, { status: 429 })
  await t.rejects(client.send(requestTo(registry)), { name: 'RegistryFailure', kind: 'limited' })
})

await t.test('writes need the permit, reads do not', async (t) => {
  const registry = await started(t)
  const client = clientOf(t, registry, { permit: { isHeld: () => false } })
  t.equal((await client.send(requestTo(registry))).status, 200)
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE'] as const)
    await t.rejects(client.send(requestTo(registry, { method })), { name: 'PermitLost' })
  t.equal(registry.requests.length, 1)
  const holder = clientOf(t, registry)
  const body = Buffer.from('{}')
  t.equal((await holder.send(requestTo(registry, { method: 'PUT', body }))).status, 201)
})

await t.test('a write that is not answered ends soon after the permit, and is not tried again', async (t) => {
  let isHeld = true
  let requests = 0
  const silent = createServer((request) => {
    requests += 1
    isHeld = false
    request.resume()
  })
  silent.listen(0, '127.0.0.1')
  await once(silent, 'listening')
  t.teardown(() => silent.close().closeAllConnections())
  const origin = new URL(`http://127.0.0.1:${(silent.address() as AddressInfo).port}`)
  const client = clientOf(t, { origin }, { permit: { isHeld: () => isHeld } })
  const request = { ...requestTo(await started(t), { method: 'PUT', body: Buffer.from('{}') }) }
  for (const signal of [undefined, new AbortController().signal]) {
    isHeld = true
    await t.rejects(client.send({ ...request, url: origin, signal }), { name: 'PermitLost' })
  }
  t.equal(requests, 2)
})

await t.test('a request is not retried after its caller has left', async (t) => {
  const registry = await started(t)
  const client = clientOf(t, registry)
  const gone = new AbortController()
  registry.fault = () => {
    gone.abort()
    return 'cut before'
  }
  await t.rejects(client.send(requestTo(registry, { signal: gone.signal })), { name: 'RegistryFailure' })
  t.equal(registry.requests.length, 1)
})

await t.test('too many requests wait', async (t) => {
  const registry = await started(t)
  const client = clientOf(t, registry, { maxInFlight: 1, maxWaiting: 1, maxTries: 1 })
  const results = await Promise.allSettled([1, 2, 3].map(async () => await client.send(requestTo(registry))))
  t.match(
    results.filter(({ status }) => status === 'rejected'),
    [{ reason: { name: 'RegistryFailure', kind: 'limited', message: /^too many requests wait/ } }],
  )
})

await t.test('each repository has its own robot; a login that is limited pauses the registry', async (t) => {
  const registry = await started(t, { login: 'bearer' })
  tag(registry.repository('team/tool'), 'a', putImage(registry.repository('team/tool'), 'a'))
  const client = clientOf(t, registry, {
    credentialOf: (repository) =>
      repository === 'broken/entry'
        ? (() => {
            throw new Error('the entry x holds no user name and password')
          })()
        : { username: repository === 'openshift/ci' ? 'pusher' : 'reader', password: 'secret' },
  })
  const reader = { repository: 'team/tool', scopes: ['repository:team/tool:pull'] }
  const url = new URL('/v2/team/tool/manifests/a', registry.origin)
  t.equal((await client.send(requestTo(registry))).status, 200)
  t.equal((await client.send(requestTo(registry, { ...reader, url }))).status, 200)
  t.strictSame(
    registry.tokenRequests.map((text) => Buffer.from(text.split(' ')[1] as string, 'base64').toString()),
    ['pusher:secret', 'reader:secret'],
  )
  await t.rejects(client.send(requestTo(registry, { repository: 'broken/entry' })), {
    name: 'RegistryFailure',
    kind: 'refused',
    message: `the auth file is of no use for ${registry.host}/broken/entry: the entry x holds no user name and password`,
  })
  registry.tokenFault = { status: 200, body: 'x'.repeat(70_000) }
  const login = { ...reader, scopes: ['repository:team/large:pull'], isRepeatable: false }
  await t.rejects(client.send(requestTo(registry, login)), {
    kind: 'transient',
    message: /its answer to a login/,
  })
  registry.tokenFault = { status: 429, headers: { 'retry-after': '30' } }
  const other = { repository: 'team/tool', scopes: ['repository:team/other:pull'] }
  const began = fastClock.now()
  const limited = client.send(requestTo(registry, { ...other, isRepeatable: false }))
  await t.rejects(limited, {
    name: 'RegistryFailure',
    kind: 'limited',
    message: `${registry.host} limits logins: 429`,
  })
  t.equal((await client.send(requestTo(registry))).status, 200)
  t.ok(fastClock.now() - began >= 30_000, 'requests with a token wait, too')
})
