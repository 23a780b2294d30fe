import t from 'tap'
import { connectionFlags } from '../../../src/config/flags/connection-flags.ts'
import { testValues } from './test-values.ts'

await t.test('values that are accepted, and those that are not', async (test) => {
  testValues(test, connectionFlags, [
    ['trustedProxies', '10.0.0.0/8,::1', ['10.0.0.0/8', '::1']],
    ['trustedProxies', 'everybody', undefined],
    ['trustedProxies', '10.0.0.0/8,999.1.1.1/99', undefined],
    ['logLevel', 'silent', 'silent'],
    ['logLevel', 'loud', undefined],
  ])
})
