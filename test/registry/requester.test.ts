import t from 'tap'
import type { FastifyRequest } from 'fastify'
import type { Identity } from '../../src/access/identity.ts'
import { requesterOf, requesterOrNetworkOf } from '../../src/registry/requester.ts'
import { alice } from './fakes.ts'

const requester = (identity: Identity): string =>
  requesterOf({ identity, client: { address: '10.0.0.1', network: '10.0.0.1' } } as unknown as FastifyRequest)

await t.test('a person is one requester, with any token', async (test) => {
  test.equal(requester(alice), 'alice')
  test.equal(requester({ ...alice, key: 'of another token' }), 'alice')
})

await t.test('robots and anonymous clients are distinguished by address', async (test) => {
  const user = { username: 'openshift+ci', groups: [], extra: {} }
  test.equal(requester({ kind: 'robot', user }), 'openshift+ci at 10.0.0.1')
  const nobody = {
    ...alice,
    kind: 'anonymous',
    user: { ...alice.user, username: 'system:anonymous' },
  } as const
  test.equal(requester(nobody), 'system:anonymous at 10.0.0.1')
})

await t.test('before authentication the network counts', async (test) => {
  const client = { address: '2001:db8::1', network: '2001:db8:0:0::/64' }
  const request = (identity: Identity | null) => ({ identity, client }) as unknown as FastifyRequest
  test.equal(requesterOrNetworkOf(request(null)), '2001:db8:0:0::/64')
  test.equal(requesterOrNetworkOf(request(alice)), 'alice')
})
