import t from 'tap'
import type { FastifyRequest } from 'fastify'
import type { Identity } from '../../src/access/identity.ts'
import { askerOf } from '../../src/registry/asker.ts'
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
