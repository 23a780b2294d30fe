import Fastify from 'fastify'
import t from 'tap'
import { RegistryError } from '../../src/oci/errors.ts'
import { beginFailure } from '../../src/page/page-failure.ts'
import type { FastifyError } from 'fastify'

const failing = async (error: unknown) => {
  const paced: number[] = []
  const app = Fastify()
  app.decorateRequest('failure', null)
  app.post('/', async (request, reply) =>
    reply.send(
      await beginFailure(error, request, reply, async (_request, status) => void paced.push(status)),
    ),
  )
  const { statusCode, headers, body } = await app.inject({ method: 'POST', url: '/' })
  return { statusCode, headers, body, paced }
}

await t.test('the status, the fields and the sentence of a failure', async (test) => {
  const error = new RegistryError('TOOMANYREQUESTS', 'too many', {
    headers: { 'retry-after': '3', allow: 'GET' },
  })
  const { statusCode, headers, body, paced } = await failing(error)
  test.strictSame([statusCode, paced], [429, [429]])
  test.strictSame(JSON.parse(body), { heading: 'Too many requests', sentence: 'too many.' })
  test.equal(headers['retry-after'], '3')
  test.notOk('allow' in headers)
  test.equal(headers.connection, 'close', 'the body was not read')
  const plain = await failing(new RegistryError('DENIED', 'no'))
  test.strictSame([plain.statusCode, plain.headers['retry-after']], [403, undefined])
})

await t.test('a form that cannot be read, and a bug of the proxy', async (test) => {
  const unread = Object.assign(new Error('too long'), { statusCode: 413 }) as FastifyError
  test.match(await failing(unread), { statusCode: 400, body: /"the form cannot be read: too long\."/ })
  test.match(await failing(new TypeError('a bug')), { statusCode: 500, paced: [] })
})
