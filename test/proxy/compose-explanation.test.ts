import t from 'tap'
import { composeExplanation, createHealth } from '../../src/proxy/compose-explanation.ts'
import type { Config } from '../../src/config/config.ts'
import type { Storage } from '../../src/storage/storage.ts'

const config = {
  exposed: new URL('https://proxy.example'),
  clusterUrl: new URL('https://api.ci.example:6443'),
  grantAdvice: 'release-repo',
  qciNamespace: 'ocp',
  authorization: 'audit',
  upstream: new URL('https://quay.io'),
} as unknown as Config

const storage = (isStuck: boolean) =>
  ({
    blobs: { stats: () => ({ entries: 2, bytes: 3 * 1024 ** 2, isLoaded: true }) },
    manifests: { stats: () => ({ entries: 5 }) },
    isStuck: () => isStuck,
  }) as unknown as Storage

await t.test('the words of this installation', async (test) => {
  const explanation = composeExplanation({
    config,
    access: { isRestricted: () => false, apiServer: { reached: () => false } },
    health: createHealth(config),
    storage: undefined,
  })
  test.match(explanation.loginAdvice.first, 'oc login https://api.ci.example:6443')
  test.match(
    explanation.grantAdvice({ username: 'a', namespace: 'b', isRestricted: false }),
    'https://github.com/openshift/release',
  )
  test.equal(explanation.isAudit, true)
})

await t.test('the state of what the proxy depends on', async (test) => {
  const health = createHealth(config)
  health.apiServer.note('answered')
  const parts = (cache: Storage | undefined) =>
    composeExplanation({
      config,
      access: { isRestricted: () => false, apiServer: { reached: () => false } },
      health,
      storage: cache,
    }).parts()
  test.strictSame(parts(undefined), [
    { name: 'API server of app.ci', state: 'works' },
    { name: 'quay.io', state: 'unknown' },
  ])
  const robots = { ...config, logins: 'robots' } as Config
  test.strictSame(
    composeExplanation({
      config: robots,
      access: { isRestricted: () => false, apiServer: { reached: () => false } },
      health,
      storage: undefined,
    }).parts(),
    [{ name: 'quay.io', state: 'unknown' }],
  )
  test.match(parts(storage(false))[2], {
    name: 'cache',
    state: 'works',
    detail: /^2 blobs of 3 MiB, 5 manifests$/,
  })
  test.match(parts(storage(true))[2], { state: 'fails', detail: /the disk does not answer/ })
})

await t.test('the review of the warm-up shows that the API server works', async (test) => {
  const parts = (isReached: boolean) =>
    composeExplanation({
      config,
      access: { isRestricted: () => false, apiServer: { reached: () => isReached } },
      health: createHealth(config),
      storage: undefined,
    }).parts()[0]
  test.match(parts(false), { state: 'unknown' })
  test.match(parts(true), { name: 'API server of app.ci', state: 'works' })
})
