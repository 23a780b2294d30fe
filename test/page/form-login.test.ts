import type { FastifyRequest } from 'fastify'
import t from 'tap'
import { formField, logInByForm } from '../../src/page/form-login.ts'
import { alice } from '../registry/fakes.ts'

const request = (body: unknown, headers = {}) =>
  ({
    body,
    query: { image: 'a/b:c', token: 'of the query' },
    headers,
    client: { address: '192.0.2.1', network: '192.0.2.1' },
    receivedAt: performance.now(),
    identity: null,
  }) as unknown as FastifyRequest

await t.test('fields count once, and a token in a URL does not count', async (test) => {
  test.equal(formField(request({ image: 'x' }), 'image'), 'x')
  test.equal(formField(request(undefined), 'image'), 'a/b:c')
  test.equal(formField(request(undefined), 'token'), '')
  test.equal(formField(request({ image: ['x', 'y'] }), 'image'), '')
  test.equal(formField(request({}), 'constructor'), '')
})

await t.test('a login by a form', async (test) => {
  const seen: unknown[] = []
  const authenticate = async (credential: unknown, client: string) => {
    seen.push(credential, client)
    return { identity: alice, bearerToken: undefined }
  }
  const options = { authenticate, isConfidential: () => true }
  const own = request({ token: ' abc\r\n' }, { 'sec-fetch-site': 'same-origin' })
  await logInByForm(own, options)
  test.equal(own.identity, alice)
  await logInByForm(request({ token: ' ' }), options)
  test.strictSame(seen, [{ kind: 'bearer', token: 'abc' }, '192.0.2.1', { kind: 'none' }, '192.0.2.1'])
  await test.rejects(logInByForm(request({}, { 'sec-fetch-site': 'same-site' }), options), {
    code: 'DENIED',
    message: 'the form was sent by another site',
  })
  await test.rejects(logInByForm(request({}), { ...options, isConfidential: () => false }), {
    code: 'DENIED',
  })
  test.equal(seen.length, 4)
})
