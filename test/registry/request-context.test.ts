import Fastify, { type FastifyRequest } from 'fastify'
import t from 'tap'
import { createTagOwner } from '../../src/oci/qci-tag.ts'
import { parseReference, parseRepository } from '../../src/oci/reference.ts'
import { decorateRequests, identityOf, referenceOf } from '../../src/registry/request-context.ts'
import { alice } from './fakes.ts'

await t.test('each request begins with empty fields, and with the client of its own', async (test) => {
  const app = Fastify()
  test.teardown(() => app.close())
  decorateRequests(app, ({ headers }) => ({ address: String(headers['x-from']), network: 'n' }))
  const seen: unknown[] = []
  app.get('/', async (request) => {
    const { client, receivedAt, identity, repository, reference, decision, failure } = request
    seen.push({ client, receivedAt, identity, repository, reference, decision, failure })
    Object.assign(request, { identity: alice, receivedAt: 1 })
    return ''
  })
  for (const from of ['a', 'b']) await app.inject({ url: '/', headers: { 'x-from': from } })
  const empty = {
    receivedAt: 0,
    identity: null,
    repository: null,
    reference: null,
    decision: null,
    failure: null,
  }
  test.strictSame(
    seen,
    ['a', 'b'].map((address) => ({ client: { address, network: 'n' }, ...empty })),
  )
})

await t.test('a stage that runs before its time is a mistake of ours', async (test) => {
  const reference = parseReference(
    parseRepository('ocp', '4.5', 'openshift/ci'),
    'base',
    createTagOwner(() => false),
  )
  const request = (fields: Partial<FastifyRequest>) => fields as FastifyRequest
  test.equal(identityOf(request({ identity: alice })), alice)
  test.equal(referenceOf(request({ reference })), reference)
  test.throws(() => identityOf(request({ identity: null })), /authentication runs before/)
  test.throws(() => referenceOf(request({ reference: null })), /authorization runs before/)
})
