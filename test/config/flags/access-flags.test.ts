import t from 'tap'
import { accessFlags } from '../../../src/config/flags/access-flags.ts'
import { testValues } from './test-values.ts'

await t.test('values that are accepted, and those that are not', async (test) => {
  testValues(test, accessFlags, [
    ['qciNamespace', 'ocp', 'ocp'],
    ['qciNamespace', 'OCP', undefined],
    ['restrictedNamespaces', '*-priv, secret,', ['*-priv', 'secret']],
    ['restrictedNamespaces', '', []],
    ['restrictedNamespaces', 'a_b', undefined],
    ['restrictedNamespaces', '-a', undefined],
    ['unknownDigests', 'deny', 'deny'],
    ['unknownDigests', 'maybe', undefined],
    ['authorization', 'audit', 'audit'],
    ['authorization', 'off', undefined],
    ['allowAnonymous', 'true', true],
    ['allowAnonymous', 'false', false],
    ['allowAnonymous', 'yes', undefined],
    ['imageStreams', 'watch', 'watch'],
    ['imageStreams', 'list', undefined],
    ['tokenAudiences', 'a,https://b', ['a', 'https://b']],
    ['tokenAudiences', 'a b', undefined],
    ['tokenFormat', 'any', 'any'],
    ['tokenFormat', 'openshift', 'openshift'],
    ['tokenFormat', 'jwt', undefined],
  ])
})
