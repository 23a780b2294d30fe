/** The service of a test: its registry, its lease, and its log. */
import type { Test } from 'tap'
import type { LeaseRecord, LeaseStore } from '../../../src/mirror/lease/lease.ts'
import { externalImages } from '../../../src/mirror/plan/desired-source.ts'
import { MirrorService, type ServiceOptions } from '../../../src/mirror/service/service.ts'
import { createLogger } from '../../../src/telemetry/logging.ts'
import { startPushableRegistry } from '../../support/pushable-registry.ts'
import { leaseClock } from '../registry/clients.ts'
import { configOf, supplemental } from '../validation/entries.ts'

export const memoryLease = () => {
  const state = { record: undefined as LeaseRecord | undefined, isCut: false }
  let version = 0
  const store: LeaseStore = {
    read: async () => {
      if (state.isCut) throw new Error('cut off')
      return state.record
    },
    write: async (next) => {
      if (state.isCut) throw new Error('cut off')
      if (next.version !== state.record?.version) return false
      state.record = { ...next, version: `${++version}` }
      return true
    },
  }
  return { state, store }
}

export const memoryLog = () => {
  const lines: Record<string, unknown>[] = []
  const logger = createLogger('trace', {
    write: (line) => void lines.push(JSON.parse(line) as Record<string, unknown>),
  })
  return { logger, lines, messages: () => lines.map(({ msg }) => msg) }
}

export const startedService = async (
  test: Test,
  sources: Readonly<Record<string, string>>,
  options: Partial<ServiceOptions> = {},
) => {
  const registry = await startPushableRegistry(test)
  const lease = memoryLease()
  const log = memoryLog()
  const state = { config: configOf(supplemental(sources)) }
  const service = new MirrorService({
    logger: log.logger,
    config: () => state.config,
    isConfigCurrent: () => true,
    source: externalImages,
    qci: { registry: 'quay.io', repository: 'openshift/ci' },
    credentialOf: () => undefined,
    originOf: () => registry.origin,
    lease: { store: lease.store, identity: 'a' },
    intervalMs: 3_600_000,
    clock: leaseClock,
    rate: { perSecond: 1e6, burst: 1000 },
    ...options,
  })
  let isStopped = false
  const stop = async (graceMs = 1000) => {
    if (!isStopped) await service.stop(graceMs)
    isStopped = true
  }
  test.teardown(async () => await stop())
  const change = (next: Readonly<Record<string, string>>) => {
    state.config = configOf(supplemental(next))
    service.changed()
  }
  return { registry, lease, log, service, stop, change, stored: registry.repository('openshift/ci') }
}
