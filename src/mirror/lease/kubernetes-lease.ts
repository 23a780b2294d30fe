/**
 * The lease as an object of the cluster, `coordination.k8s.io/v1`.
 * @see https://kubernetes.io/docs/concepts/architecture/leases/
 */
import {
  ApiException,
  CoordinationV1Api,
  V1MicroTime,
  type KubeConfig,
  type V1Lease,
} from '@kubernetes/client-node'
import { unlessAborted } from '../../concurrency/abortable.ts'
import type { LeaseRecord, LeaseStore } from './lease.ts'

export interface KubernetesLeaseOptions {
  readonly kubeConfig: KubeConfig
  readonly namespace: string
  readonly name: string
  /** Milliseconds for one request, short enough that a renewal comes in time. */
  readonly timeoutMs?: number
}

export const createKubernetesLease = (options: KubernetesLeaseOptions): LeaseStore => {
  const { kubeConfig, namespace, name, timeoutMs = 4000 } = options
  const api = kubeConfig.makeApiClient(CoordinationV1Api)
  const inTime = async <Value>(promise: Promise<Value>): Promise<Value> =>
    await unlessAborted(AbortSignal.timeout(timeoutMs), promise)
  return {
    read: async () => {
      const lease = await inTime(unless(404, api.readNamespacedLease({ namespace, name })))
      return lease && recordOf(lease)
    },
    write: async (record) => {
      const body = leaseOf(record, namespace, name)
      const write =
        record.version === undefined
          ? api.createNamespacedLease({ namespace, body })
          : api.replaceNamespacedLease({ namespace, name, body })
      return (await inTime(unless(409, write))) !== undefined
    },
  }
}

const unless = async <Value>(code: number, answer: Promise<Value>): Promise<Value | undefined> => {
  try {
    return await answer
  } catch (error) {
    if (error instanceof ApiException && error.code === code) return undefined
    throw error
  }
}

const recordOf = ({ spec = {}, metadata }: V1Lease): LeaseRecord => ({
  holder: spec.holderIdentity ?? '',
  durationSeconds: spec.leaseDurationSeconds ?? 0,
  acquiredAt: millisOf(spec.acquireTime),
  renewedAt: millisOf(spec.renewTime),
  transitions: spec.leaseTransitions ?? 0,
  version: metadata?.resourceVersion ?? '',
})

/** The client returns such a time as text, although its type says otherwise. */
const millisOf = (time: V1MicroTime | undefined): number =>
  time === undefined ? 0 : new Date(time).getTime()

const leaseOf = (record: LeaseRecord, namespace: string, name: string): V1Lease => ({
  apiVersion: 'coordination.k8s.io/v1',
  kind: 'Lease',
  metadata: {
    namespace,
    name,
    ...(record.version === undefined ? {} : { resourceVersion: record.version }),
  },
  spec: {
    holderIdentity: record.holder,
    leaseDurationSeconds: record.durationSeconds,
    acquireTime: new V1MicroTime(record.acquiredAt),
    renewTime: new V1MicroTime(record.renewedAt),
    leaseTransitions: record.transitions,
  },
})
