import t from 'tap'
import { serverFlags } from '../../../src/config/flags/server-flags.ts'
import { testValues } from './test-values.ts'

await t.test('values that are accepted, and those that are not', async (test) => {
  testValues(test, serverFlags, [
    ['exposedHost', 'example.org:8443', 'example.org:8443'],
    ['exposedHost', 'https://example.org', undefined],
    ['robotUsernameFile', '/a', '/a'],
    ['robotUsernameFile', '', undefined],
    ['requireStrongSecrets', 'true', true],
    ['requireStrongSecrets', 'false', false],
    ['requireStrongSecrets', 'yes', undefined],
    ['tokenValidityMs', '6h', 21_600_000],
    ['tokenValidityMs', '59s', undefined],
    ['tokenValidityMs', '6', undefined],
  ])
})
