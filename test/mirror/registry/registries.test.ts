import t from 'tap'
import { Registries } from '../../../src/mirror/registry/registries.ts'
import { fastClock } from './clients.ts'

await t.test('one client for each registry', async (t) => {
  const asked: string[] = []
  const registries = new Registries({
    permit: { isHeld: () => true },
    credentialOf: (origin) => {
      asked.push(origin.href)
      return undefined
    },
  })
  t.teardown(async () => await registries.close())
  const quay = registries.of('quay.io')
  t.equal(registries.of('quay.io'), quay)
  t.not(registries.of('ghcr.io:8443'), quay)
  t.equal(quay.origin.href, 'https://quay.io/')
  t.strictSame(asked, ['https://quay.io/', 'https://ghcr.io:8443/'])
})

await t.test('another origin', async (t) => {
  const registries = new Registries({
    permit: { isHeld: () => true },
    credentialOf: () => undefined,
    originOf: (host) => new URL(`http://${host}`),
    clock: fastClock,
    rate: { perSecond: 1, burst: 1 },
  })
  t.teardown(async () => await registries.close())
  t.equal(registries.of('127.0.0.1:5000').origin.href, 'http://127.0.0.1:5000/')
})
