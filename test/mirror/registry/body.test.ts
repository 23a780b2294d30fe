import { Readable } from 'node:stream'
import t from 'tap'
import { abandon, BodyTooLarge, discard, readBody } from '../../../src/mirror/registry/body.ts'

await t.test('a body within its bound', async (t) => {
  t.equal((await readBody(Readable.from([Buffer.from('ab'), Buffer.from('c')]), 3)).toString(), 'abc')
  await t.rejects(readBody(Readable.from([Buffer.from('ab'), Buffer.from('cd')]), 3), BodyTooLarge)
})

await t.test('a body that is abandoned ends without an error', async (t) => {
  const body = new Readable({ read: () => undefined, destroy: (_error, done) => done(new Error('aborted')) })
  abandon(body)
  await new Promise((resolve) => setImmediate(resolve))
  t.ok(body.destroyed)
})

await t.test('a body that nobody wants', async (t) => {
  await t.resolves(discard(Readable.from([Buffer.alloc(10)])))
  const large = Readable.from([Buffer.alloc(70_000), Buffer.alloc(70_000)])
  await t.resolves(discard(large))
  t.ok(large.destroyed)
})

await t.test('attack: a body that sends a byte now and then', async (t) => {
  const body = new Readable({ read: () => undefined })
  body.push('a')
  await t.rejects(readBody(body, 10, 5), { message: 'no whole body within 5 ms' })
  t.ok(body.destroyed)
})
