import t from 'tap'
import { Registries } from '../../../src/mirror/registry/registries.ts'
import { Repository } from '../../../src/mirror/registry/repository.ts'
import { startPushableRegistry } from '../../support/pushable-registry.ts'
import { fastClock } from './clients.ts'

await t.test('one client for each registry', async (t) => {
  const registries = new Registries({
    permit: { isHeld: () => true },
    credentialOf: () => undefined,
  })
  t.teardown(async () => await registries.close())
  const quay = registries.of('quay.io')
  t.equal(registries.of('quay.io'), quay)
  t.not(registries.of('ghcr.io:8443'), quay)
  t.equal(quay.origin.href, 'https://quay.io/')
})

await t.test('another origin, and the robot of a repository', async (t) => {
  const asked: string[] = []
  const pauses: string[] = []
  const registry = await startPushableRegistry(t)
  const registries = new Registries({
    permit: { isHeld: () => true },
    credentialOf: (origin, repository) => {
      asked.push(`${origin.href} ${repository}`)
      return undefined
    },
    originOf: (host) => new URL(`http://${host}`),
    clock: fastClock,
    rate: { perSecond: 1, burst: 1 },
    observePause: (host, ms) => pauses.push(`${host} ${ms}`),
  })
  t.teardown(async () => await registries.close())
  t.equal(registries.of('127.0.0.1:5000').origin.href, 'http://127.0.0.1:5000/')
  const client = registries.of(registry.host)
  const repository = new Repository({ client, name: 'team/tool', mayPush: false, image: 'a/b:c' })
  t.equal(await repository.resolve('v1'), undefined)
  t.strictSame(asked, [`${registry.origin.href} team/tool`])
  t.strictSame(pauses, [])
  // The time without requests, and the host as the configuration has it.
  registry.fault = () =>
    registry.requests.length === 2 ? { status: 429, headers: { 'retry-after': '7' } } : undefined
  t.equal(await repository.resolve('v1'), undefined)
  t.equal(pauses.length, 1)
  t.match(pauses[0], new RegExp(`^${registry.host} [67]\\d{3}`))
})
