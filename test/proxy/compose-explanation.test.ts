import t from 'tap'
import { composeExplanation, createHealth } from '../../src/proxy/compose-explanation.ts'
import type { Config } from '../../src/config/config.ts'
import type { MirrorState } from '../../src/page/mirror-queue/mirror-state.ts'
import type { ComposedS3 } from '../../src/proxy/compose-s3.ts'
import type { Storage } from '../../src/storage/storage.ts'

const config = {
  exposed: new URL('https://proxy.example'),
  clusterUrl: new URL('https://api.ci.example:6443'),
  grantAdvice: 'release-repo',
  qciNamespace: 'ocp',
  authorization: 'audit',
  upstream: new URL('https://quay.io'),
} as unknown as Config

const nothing = { storage: undefined, s3: undefined, mirror: undefined }

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
    ...nothing,
  })
  test.match(explanation.loginAdvice.first, 'oc login https://api.ci.example:6443')
  test.match(
    explanation.grantAdvice({ username: 'a', namespace: 'b', isRestricted: false }),
    'https://github.com/openshift/release',
  )
  test.equal(explanation.isAudit, true)
})

await t.test('the state of the services that the proxy depends on', async (test) => {
  const health = createHealth(config)
  health.apiServer.note('answered')
  const parts = (cache: Storage | undefined) =>
    composeExplanation({
      config,
      access: { isRestricted: () => false, apiServer: { reached: () => false } },
      health,
      ...nothing,
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
      ...nothing,
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
      ...nothing,
    }).parts()[0]
  test.match(parts(false), { state: 'unknown' })
  test.match(parts(true), { name: 'API server of app.ci', state: 'works' })
})

await t.test('the tier in S3 and the mirror, where there are any', async (test) => {
  const describeImage = async () => undefined
  const explanation = (isOpen: boolean, uploads: number) =>
    composeExplanation({
      config,
      access: { isRestricted: () => false, apiServer: { reached: () => true } },
      health: createHealth(config),
      storage: undefined,
      s3: { tier: { stats: () => ({ isOpen, uploads }) } } as unknown as ComposedS3,
      mirror: {
        describeImage,
        state: { current: () => ({ name: 'mirror', state: 'works' }) } as unknown as MirrorState,
      },
    })
  test.strictSame(explanation(false, 1).parts().slice(2), [
    { name: 'cache in S3', state: 'works', detail: '1 upload pending' },
    { name: 'mirror', state: 'works' },
  ])
  test.match(explanation(true, 2).parts()[2], { state: 'fails', detail: 'bypassed, 2 uploads pending' })
  test.equal(explanation(true, 2).describeImage, describeImage)
})
