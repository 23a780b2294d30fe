import { KubeConfig } from '@kubernetes/client-node'
import t from 'tap'
import type { Test } from 'tap'
import { createKubernetesLease } from '../../../src/mirror/lease/kubernetes-lease.ts'
import { startLeaseApi } from './lease-api.ts'
import { kubeConfigOf } from '../../kubernetes/kubeconfig-of.ts'

const started = async (test: Test, timeoutMs?: number) => {
  const { state, port } = await startLeaseApi(test)
  const kubeConfig = new KubeConfig()
  kubeConfig.loadFromString(kubeConfigOf(port))
  const store = createKubernetesLease({
    kubeConfig,
    namespace: 'ci',
    name: 'ci-image-mirror',
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  })
  return { state, store }
}

const record = {
  holder: 'a',
  durationSeconds: 15,
  acquiredAt: Date.UTC(2026, 0, 1),
  renewedAt: Date.UTC(2026, 0, 2),
  transitions: 3,
  version: undefined,
}

await t.test('a lease is created, read and replaced', async (t) => {
  const { state, store } = await started(t)
  t.equal(await store.read(), undefined)
  t.equal(await store.write(record), true)
  const created = await store.read()
  t.strictSame(created, { ...record, version: '1' })
  t.match(state.lease, { kind: 'Lease', spec: { renewTime: '2026-01-02T00:00:00.000000Z' } })
  t.equal(await store.write({ ...record, holder: 'b', version: '1' }), true)
  t.match(await store.read(), { holder: 'b', version: '2' })
  const path = '/apis/coordination.k8s.io/v1/namespaces/ci/leases'
  t.strictSame(
    [...new Set(state.requests)],
    [`GET ${path}/ci-image-mirror`, `POST ${path}`, `PUT ${path}/ci-image-mirror`],
  )
})

await t.test('another replica was faster', async (t) => {
  const { store } = await started(t)
  await store.write(record)
  t.equal(await store.write(record), false)
  t.equal(await store.write({ ...record, version: '7' }), false)
})

await t.test('a lease with nothing in it', async (t) => {
  const { state, store } = await started(t)
  state.lease = {}
  t.strictSame(await store.read(), {
    holder: '',
    durationSeconds: 0,
    acquiredAt: 0,
    renewedAt: 0,
    transitions: 0,
    version: '',
  })
})

await t.test('an API server that refuses, or does not answer', async (t) => {
  const { state, store } = await started(t, 100)
  state.status = 403
  await t.rejects(store.read())
  await t.rejects(store.write(record))
  state.isSilent = true
  await t.rejects(store.read(), { name: 'TimeoutError' })
})
