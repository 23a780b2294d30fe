/**
 * Two replicas that both want to write, of which one at a time has the lease.
 */
import t from 'tap'
import type { Test } from 'tap'
import { Lease, type LeaseRecord } from '../../../src/mirror/lease/lease.ts'
import { Mirror } from '../../../src/mirror/mirror.ts'
import { desiredImages } from '../../../src/mirror/plan/desired.ts'
import { Registries } from '../../../src/mirror/registry/registries.ts'
import { putIndex, tag } from '../../support/image-fixtures.ts'
import { startPushableRegistry, type PushableRegistry } from '../../support/pushable-registry.ts'
import { until } from '../../support/until.ts'
import { fastClock } from '../registry/clients.ts'
import { configOf, supplemental } from '../validation/entries.ts'

const startReplica = (
  test: Test,
  registry: PushableRegistry,
  store: ConstructorParameters<typeof Lease>[0]['store'],
  name: string,
) => {
  const network = { isCut: false }
  const reach = async <Value>(operation: () => Promise<Value>): Promise<Value> => {
    if (network.isCut) throw new Error('cut off')
    return await operation()
  }
  const lease = new Lease({
    store: {
      read: async () => await reach(store.read),
      write: async (record) => await reach(async () => await store.write(record)),
    },
    identity: name,
    clock: fastClock,
    observe: () => undefined,
  })
  const registries = new Registries({
    permit: lease,
    credentialOf: () => ({ username: name, password: 'secret' }),
    originOf: () => registry.origin,
    rate: { perSecond: 1e6, burst: 1000 },
    clock: fastClock,
  })
  const mirror = new Mirror({
    registries,
    qci: { registry: 'quay.io', repository: 'openshift/ci' },
    clock: fastClock,
    maxConcurrent: 2,
  })
  test.teardown(async () => {
    await mirror.queue.stop()
    await lease.stop()
    await registries.close()
  })
  return { lease, mirror, network }
}

await t.test('a replica writes only while no other one holds the lease', async (t) => {
  let record: LeaseRecord | undefined
  let version = 0
  const store = {
    read: async () => record,
    write: async (next: LeaseRecord) => {
      if (next.version !== record?.version) return false
      record = { ...next, version: `${++version}` }
      return true
    },
  }
  const registry = await startPushableRegistry(t, { login: 'basic' })
  const names = Array.from({ length: 40 }, (_, index) => `i${index}`)
  for (const name of names) {
    const original = registry.repository(`team/${name}`)
    tag(original, 'v1', putIndex(original, name))
  }
  const [a, b] = [startReplica(t, registry, store, 'a'), startReplica(t, registry, store, 'b')]
  const writes: Record<string, number> = { a: 0, b: 0 }
  let violations = 0
  registry.fault = ({ method, authorization = '' }) => {
    if (method === 'GET' || method === 'HEAD' || authorization === '') return undefined
    const [writer = ''] = Buffer.from(authorization.slice('Basic '.length), 'base64').toString().split(':')
    writes[writer] = (writes[writer] ?? 0) + 1
    if ((writer === 'a' ? b : a).lease.isHeld()) violations += 1
    // The first holder loses the API server in the middle of its work.
    if (writes['a'] === 100) a.network.isCut = true
    return undefined
  }
  a.lease.start()
  await until(a.lease.isHeld)
  b.lease.start()
  const sources = Object.fromEntries(names.map((name) => [`a/${name}:v1`, `quay.io/team/${name}:v1`]))
  const desired = desiredImages(configOf(supplemental(sources)))
  const stored = registry.repository('openshift/ci')
  // The first one has much to do, so that it does not end before it is cut off.
  await Promise.all([a.mirror.pass(desired), b.mirror.pass(desired)])
  await until(() => names.every((name) => stored.tags.has(`a_${name}_v1`)))
  t.equal(violations, 0)
  t.ok((writes['a'] ?? 0) >= 100, `${writes['a']} writes of the first`)
  t.strictSame(
    names.map((name) => stored.tags.get(`a_${name}_v1`)),
    names.map((name) => registry.repository(`team/${name}`).tags.get('v1')),
  )
  await until(b.lease.isHeld)
  t.equal(a.lease.isHeld(), false)
})
