import t from 'tap'
import { upstreamFlags } from '../../../src/config/flags/upstream-flags.ts'
import { testValues } from './test-values.ts'

await t.test('values that are accepted, and those that are not', async (test) => {
  testValues(test, upstreamFlags, [
    ['upstreamRepository', 'openshift/ci', 'openshift/ci'],
    ['upstreamRepository', 'openshift', undefined],
    ['upstreamRepository', 'a/b/c', undefined],
    ['upstreamRepository', '../ci', undefined],
    ['maxUpstreamConnections', '1', 1],
    ['maxUpstreamConnections', '0', undefined],
    ['maxUpstreamConnections', '1e3', undefined],
    ['upstreamLimits', 'none', 'none'],
    ['upstreamLimits', 'off', undefined],
    ['replicas', '3', 3],
    ['sharedState', 'rediss://proxy@valkey:6379/1', new URL('rediss://proxy@valkey:6379/1')],
    ['sharedState', 'redis://[::1]', new URL('redis://[::1]')],
    ['sharedState', 'http://valkey', undefined],
    ['sharedState', 'redis:valkey', undefined],
    ['sharedState', 'redis:///1', undefined],
    ['sharedState', 'redis://valkey/a', undefined],
    ['sharedState', 'redis://valkey?db=1', undefined],
    ['sharedState', 'redis://valkey#1', undefined],
    ['sharedState', 'valkey', undefined],
    ['stateDir', '/state', '/state'],
    ['stateDir', '', undefined],
    ['stallTimeoutMs', '10s', 10_000],
    ['stallTimeoutMs', '0s', undefined],
    ['stallTimeoutMs', 'soon', undefined],
    ['manifestCacheBytes', '64Mi', 67_108_864],
    ['manifestCacheBytes', '-1', undefined],
    ['cacheDir', '/cache', '/cache'],
    ['cacheDir', '', undefined],
    ['cacheBytes', '500Gi', 536_870_912_000],
    ['cacheBytes', '0', undefined],
    ['cacheBytes', 'much', undefined],
    ['blobDelivery', 'redirect', 'redirect'],
    ['blobDelivery', 'proxy', undefined],
  ])
})
