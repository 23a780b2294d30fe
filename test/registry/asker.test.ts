import t from 'tap'
import type { FastifyRequest } from 'fastify'
import type { Identity } from '../../src/access/identity.ts'
import { askerOf, askerOrAddressOf } from '../../src/registry/asker.ts'
import { alice } from './fakes.ts'

const asker = (identity: Identity): string =>
  askerOf({ identity, client: { address: '10.0.0.1', network: '10.0.0.1' } } as unknown as FastifyRequest)

await t.test('a person is one, whatever token they show', async (test) => {
  test.equal(asker(alice), 'alice')
  test.equal(asker({ ...alice, key: 'of another token' }), 'alice')
})

await t.test('the robot and nobody in particular are told apart by where they come from', async (test) => {
  const user = { username: 'openshift+ci', groups: [], extra: {} }
  test.equal(asker({ kind: 'robot', user }), 'openshift+ci at 10.0.0.1')
  const nobody = { ...alice, user: { ...alice.user, username: 'system:anonymous' } }
  test.equal(asker(nobody), 'system:anonymous at 10.0.0.1')
})

await t.test('before it is known who asks, the network does', async (test) => {
  const client = { address: '2001:db8::1', network: '2001:db8:0:0::/64' }
  const request = (identity: Identity | null) => ({ identity, client }) as unknown as FastifyRequest
  test.equal(askerOrAddressOf(request(null)), '2001:db8:0:0::/64')
  test.equal(askerOrAddressOf(request(alice)), 'alice')
})
