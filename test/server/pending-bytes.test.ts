import { connect } from 'node:net'
import { Readable } from 'node:stream'
import Fastify from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import { errorBody, type RegistryError } from '../../src/oci/errors.ts'
import { boundPendingBytes } from '../../src/server/pending-bytes.ts'
import { alice, listen } from '../registry/fakes.ts'
import { until } from '../support/until.ts'

const mebibyte = 1024 * 1024
/** More than the kernel takes for a client that reads nothing. */
const large = Buffer.alloc(16 * mebibyte, 'a')

/** More than a small answer, and not more than one slice. */
const medium = Buffer.alloc(32 * 1024, 'b')

const serve = async (test: Test, maxPendingBytes: number) => {
  const app = Fastify()
  let shed = 0
  app.decorateRequest('identity', null)
  app.decorateRequest('client', { getter: () => ({ address: '203.0.113.9', network: '203.0.113.9' }) })
  app.addHook('onRequest', async (request) => {
    const username = request.headers['x-user'] as string | undefined
    if (username !== undefined) request.identity = { ...alice, user: { ...alice.user, username } }
  })
  app.addHook('onSend', boundPendingBytes({ maxPendingBytes, observeShed: () => void shed++ }))
  app.setErrorHandler((error: RegistryError, _request, reply) =>
    reply.code(error.status).headers(error.headers).send(errorBody(error)),
  )
  let begun = 0
  app.get('/large', async (_request, reply) => {
    begun += 1
    return reply
      .headers({
        etag: '"x"',
        'docker-content-digest': 'x',
        link: 'x',
        'content-type': 'a/b',
        'content-length': large.length,
      })
      .send(large)
  })
  app.get('/small', async (_request, reply) => reply.send(Buffer.alloc(16 * 1024)))
  app.get('/medium', async (_request, reply) => reply.send(medium))
  app.get('/text', async () => String(large))
  app.get('/stream', async (_request, reply) => reply.send(Readable.from([Buffer.alloc(100_000)])))
  const left = Promise.withResolvers<void>()
  app.get('/late', async (request, reply) => {
    if (!request.raw.socket.destroyed) await new Promise((resolve) => reply.raw.once('close', resolve))
    left.resolve()
    return reply.send(large)
  })
  const port = await listen(test, app)
  /** Asks, and reads nothing. */
  const ask = (user: string | undefined, path = '/large') => {
    const socket = connect(port, '127.0.0.1').on('error', () => undefined)
    test.teardown(() => socket.destroy())
    socket.pause()
    socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n${user === undefined ? '' : `X-User: ${user}\r\n`}\r\n`)
    return socket
  }
  const get = async (user: string, path = '/large') => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers: { 'x-user': user } })
    return {
      status: response.status,
      headers: response.headers,
      body: Buffer.from(await response.arrayBuffer()),
    }
  }
  return { ask, get, left: left.promise, begun: () => begun, shed: () => shed }
}

await t.test(
  'attack: unread responses of one requester are limited, and the next requester is served',
  async (test) => {
    const { ask, get, begun, shed } = await serve(test, 8 * large.length)
    const greedy = Array.from({ length: 20 }, () => ask('mallory'))
    await until(() => begun() === 20)
    await until(() => shed() === 16)
    const { status, body } = await get('alice')
    test.equal(status, 200)
    test.ok(body.equals(large))
    const refused = await get('mallory')
    test.equal(refused.status, 503)
    test.match(JSON.parse(String(refused.body)), { errors: [{ code: 'UNAVAILABLE' }] })
    test.ok(Number(refused.headers.get('retry-after')) > 0)
    test.equal(refused.headers.get('content-length'), String(refused.body.length))
    for (const field of ['etag', 'docker-content-digest', 'link'])
      test.equal(refused.headers.get(field), null)
    // What is small is not counted: the kernel takes it.
    test.equal((await get('mallory', '/small')).status, 200)
    test.equal((await get('mallory', '/stream')).status, 200)
    test.equal((await get('mallory', '/text')).status, 503)
    for (const socket of greedy) socket.destroy()
    let last = await get('mallory')
    while (last.status === 503) last = await get('mallory')
    test.equal(last.status, 200, 'what is no longer on its way is not counted')
  },
)

await t.test('before authentication the address counts', async (test) => {
  const { ask, get, begun, shed } = await serve(test, 4 * large.length)
  for (let count = 0; count < 3; count++) ask(undefined)
  await until(() => begun() === 3)
  await until(() => shed() === 1)
  test.equal((await get('alice')).status, 200)
})

await t.test('many responses in turn, each read, stay under the limit', async (test) => {
  const { get, shed } = await serve(test, 2 * large.length)
  for (let count = 0; count < 8; count++) test.equal((await get('alice')).status, 200)
  test.equal(shed(), 0)
})

await t.test('a client that disconnects before its response does not count', async (test) => {
  const { ask, get, left } = await serve(test, 2 * large.length)
  const gone = ask('alice', '/late')
  gone.once('connect', () => setTimeout(() => gone.destroy(), 20))
  await left
  await new Promise(setImmediate)
  test.equal((await get('alice')).status, 200)
  test.equal((await get('alice')).status, 200)
})

await t.test('a response is complete and has a length, in one slice, in many, or as text', async (test) => {
  const { get } = await serve(test, 8 * large.length)
  const rows = [
    ['/medium', medium],
    ['/large', large],
    ['/text', large],
  ] as const
  for (const [path, expected] of rows) {
    const { status, headers, body } = await get('alice', path)
    test.equal(status, 200)
    test.equal(headers.get('content-length'), String(expected.length), path)
    test.ok(body.equals(expected), path)
  }
})
