import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:tls'
import t, { type Test } from 'tap'
import { openStoreClient, within } from '../../src/shared-state/store-client.ts'
import { StoreUnavailable, StoreRefused, StoreSlow } from '../../src/shared-state/store-errors.ts'
import { startFakeRedis } from './fake-redis.ts'
import { makeCertificate, until } from './support.ts'

const serve = async (test: Test, password?: string) => {
  const server = await startFakeRedis(password === undefined ? {} : { password })
  test.teardown(async () => await server.close())
  return server
}

const open = async (test: Test, ...args: Parameters<typeof openStoreClient>) => {
  const client = await openStoreClient(...args)
  test.teardown(() => client.destroy())
  return client
}

const ignore = () => undefined

await t.test('replies keep their bytes', async (test) => {
  const { url } = await serve(test)
  const client = await open(test, { url }, ignore)
  const bytes = Buffer.of(0, 255, 13, 10)
  const id = await client.send(['XADD', 'logins', '*', bytes, bytes], 1000)
  test.match(String(id), /^\d+-\d+$/)
  test.same(await client.send(['XREAD', 'STREAMS', 'bell', 'logins', '0-0', '0-0'], 1000), [
    [Buffer.from('logins'), [[id, [bytes, bytes]]]],
  ])
})

await t.test('user, password and database', async (test) => {
  const server = await serve(test, 'hunter2')
  const url = new URL(`redis://proxy%40x@${server.url.host}/3`)
  const client = await open(test, { url, password: () => 'hunter2' }, ignore)
  test.equal(await client.send(['ZREM', 'a', 'b'], 1000), 0)
  test.same([server.asked.get('AUTH'), server.asked.get('SELECT')], [1, 1])
  for (const password of [() => 'wrong', () => ''])
    await test.rejects(openStoreClient({ url, password }, ignore), StoreRefused)
  const anybody = await open(test, { url: new URL(`${server.url}`), password: () => 'hunter2' }, ignore)
  test.equal(await anybody.send(['ZREM', 'a', 'b'], 1000), 0)
  const none = await open(test, { url: server.url }, ignore)
  await test.rejects(none.send(['ZREM', 'a', 'b'], 1000), { code: 'NOAUTH' })
})

await t.test('a login without an answer fails at its deadline', async (test) => {
  const server = await serve(test, 'hunter2')
  server.hush()
  await test.rejects(openStoreClient({ url: server.url, password: () => 'hunter2' }, ignore, 50), StoreSlow)
  await until(() => server.connections() === 0, 'the connection is closed')
})

await t.test('a server that cannot be reached', async (test) => {
  const server = await serve(test)
  await server.close()
  await test.rejects(openStoreClient({ url: server.url }, ignore), { code: 'ECONNREFUSED' })
  await test.rejects(openStoreClient({ url: new URL('redis://127.0.0.73') }, ignore), {
    message: /127\.0\.0\.73:6379/,
  })
  await test.rejects(openStoreClient({ url: new URL('redis://[::1]:1') }, ignore), { code: /^E/ })
})

await t.test('a password file that cannot be read', async (test) => {
  const { url } = await serve(test)
  const password = () => {
    throw new Error('gone')
  }
  await test.rejects(openStoreClient({ url, password }, ignore), { message: 'gone' })
})

await t.test('a command fails by its deadline, a refusal or the end of the connection', async (test) => {
  const server = await serve(test)
  const ends: Error[] = []
  const client = await open(test, { url: server.url }, (error) => ends.push(error))
  await test.rejects(client.send(['NONSENSE', 'hunter2'], 1000), { name: 'StoreRefused', code: 'ERR' })
  server.hush()
  await test.rejects(client.send(['ZREM', 'a', 'b'], 20), StoreSlow)
  const waiting = client.send(['ZREM', 'a', 'b'], 5000)
  server.drop()
  await test.rejects(waiting, StoreUnavailable)
  test.equal(ends.length, 1)
  await test.rejects(client.send(['ZREM', 'a', 'b'], 5000), StoreUnavailable)
})

await t.test('a reply that arrived while this process was busy counts', async (test) => {
  const server = await serve(test)
  const client = await open(test, { url: server.url }, ignore)
  await client.send(['ZREM', 'a', 'b'], 1000)
  const answer = new Promise<string>((resolve) => setImmediate(() => setImmediate(resolve, 'it came')))
  const busyUntil = performance.now() + 30
  const waiting = within(answer, 10)
  while (performance.now() < busyUntil);
  test.type(await waiting.catch(String), 'string')
  await test.rejects(within(new Promise(() => undefined), 5), StoreSlow)
})

await t.test('TLS: the certificate must be valid for the name', async (test) => {
  const { cert, key } = makeCertificate(test.testdir(), 'DNS:localhost')
  const [keyPem, ca] = [readFileSync(key, 'utf8'), readFileSync(cert, 'utf8')]
  const server = createServer({ key: keyPem, cert: ca }, (socket) => {
    socket.on('error', ignore).on('data', () => socket.write(':0\r\n'))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  test.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const client = await open(test, { url: new URL(`rediss://localhost:${port}`), ca }, ignore)
  test.equal(await client.send(['ZREM', 'a', 'b'], 1000), 0)
  await test.rejects(openStoreClient({ url: new URL(`rediss://localhost:${port}`) }, ignore), {
    code: /SELF_SIGNED/,
  })
  await test.rejects(openStoreClient({ url: new URL(`rediss://127.0.0.1:${port}`), ca }, ignore), {
    code: 'ERR_TLS_CERT_ALTNAME_INVALID',
  })
})
