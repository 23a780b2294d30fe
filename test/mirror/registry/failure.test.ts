import t from 'tap'
import { PermitLost, RegistryFailure, UnsuitableManifest } from '../../../src/mirror/registry/failure.ts'

await t.test('a failure has a kind, a sentence and a cause', async (t) => {
  const cause = new Error('x')
  t.match(new RegistryFailure('limited', 'quay.io limits requests', cause), {
    name: 'RegistryFailure',
    kind: 'limited',
    message: 'quay.io limits requests',
    cause,
  })
  t.match(new UnsuitableManifest('manifest v1', 'it has schema 1'), {
    kind: 'refused',
    form: 'manifest v1',
    message: 'it has schema 1',
  })
  t.match(new PermitLost(), { name: 'PermitLost', message: 'this replica does not hold the lease any more' })
})
