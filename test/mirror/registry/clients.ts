/** Clients of a registry of a test. */
import type { Test } from 'tap'
import type { RegistryClientOptions } from '../../../src/mirror/registry/registry-client-options.ts'
import { RegistryClient } from '../../../src/mirror/registry/registry-client.ts'
import { Repository, type RepositoryOptions } from '../../../src/mirror/registry/repository.ts'
import { systemClock } from '../../../src/concurrency/clock.ts'
import type { PushableRegistry } from '../../support/pushable-registry.ts'

const clockTimes = (speed: number): typeof systemClock => ({
  now: () => systemClock.now() * speed,
  after: (ms: number, run: () => void) => {
    const timer = setTimeout(run, ms / speed)
    return () => clearTimeout(timer)
  },
})

/** Pauses and waits take a hundredth of their time. */
export const fastClock = clockTimes(100)

/** For a lease of ten seconds: a busy machine has 400 ms to renew it. */
export const leaseClock = clockTimes(25)

export const clientOf = (
  test: Test,
  registry: Pick<PushableRegistry, 'origin'>,
  options: Partial<RegistryClientOptions> = {},
): RegistryClient => {
  const client = new RegistryClient({
    origin: registry.origin,
    permit: { isHeld: () => true },
    rate: { perSecond: 100_000, burst: 1000 },
    clock: fastClock,
    ...options,
  })
  test.teardown(async () => await client.close())
  return client
}

export const repositoryOf = (
  test: Test,
  registry: PushableRegistry,
  options: Partial<RepositoryOptions> & Partial<RegistryClientOptions> = {},
): Repository => {
  const { client = clientOf(test, registry, options) } = options
  return new Repository({ client, name: 'openshift/ci', mayPush: true, image: 'a/b:c', ...options })
}
