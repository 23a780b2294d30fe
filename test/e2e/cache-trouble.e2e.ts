import { test, type Test } from 'tap'
import { ask, image, largestBlob, robot, startCachedStack, watch } from './cached-stack.ts'
import { answers, missing } from './process.ts'
import { expireAll, startCache } from './pull-through-cache.ts'
import { endStack } from './stack.ts'

const skip = missing('docker-registry')

await test('with a pull-through cache in front of a failing quay', { skip }, async (suite) => {
  const { stack, cache, options, uncached, base, get, pullBase, cacheBase } = await startCachedStack(suite)
  const { quay, tokens } = stack
  const blobs = await cacheBase()

  await suite.test(
    'one replica deletes what is a week old, the other replica fetches it again',
    async (t) => {
      await expireAll(options.storage, quay.repository, blobs)
      const replica = await startCache(options)
      stack.defer(replica.stop)
      await cache.gone(blobs)
      const asked = watch(quay)
      t.equal((await pullBase()).digest, base.digest)
      for (const digest of blobs) t.ok(asked().includes(`HEAD /v2/openshift/ci/blobs/${digest}`), digest)
      await cache.stored(blobs)
      const again = watch(quay)
      t.equal((await ask(`${replica.url}/v2/openshift/ci/blobs/${blobs[0]}`)).digest, blobs[0])
      t.same(again(), [], 'and what it fetched is there for both')
    },
  )

  await suite.test('a broken blob is not stored', async (t) => {
    const torn = await image('torn', 1024)
    quay.push(torn)
    const { digest } = largestBlob(torn)
    for (const broken of [{ wrongBytes: true }, { cutAfterBytes: 100 }]) {
      quay.fault({ origin: 'cdn', path: /./, count: Infinity, ...broken })
      const outcome = await get(`openshift/ci/blobs/${digest}`).catch(() => 'broken off')
      t.not(typeof outcome === 'string' ? outcome : outcome.digest, digest)
    }
    quay.clearFaults()
    t.equal((await get(`openshift/ci/blobs/${digest}`)).digest, digest)
  })

  /** Pulls of stored and of other images, while the cache cannot reach quay. */
  const withoutQuay = async (t: Test) => {
    t.equal((await pullBase()).digest, base.digest, 'a tag that was pulled before')
    t.equal((await pullBase(base.digest)).digest, base.digest, 'a digest')
    t.match(await get('openshift/ci/manifests/ocp_4.5_base', tokens.mallory), { status: 403 })
    t.match(await get('openshift/ci/manifests/ocp_4.16_uncached'), { status: 404, code: 'MANIFEST_UNKNOWN' })
    for (const path of [`manifests/${uncached.digest}`, `blobs/${largestBlob(uncached).digest}`])
      t.match(await get(`openshift/ci/${path}`), { status: 503, code: 'UNAVAILABLE' }, path)
  }

  await suite.test('quay limits, breaks, or refuses the robot', async (t) => {
    for (const status of [429, 502]) {
      quay.fault({ origin: 'quay', path: /./, status, count: Infinity })
      await t.test(`${status}`, withoutQuay)
      quay.clearFaults()
    }
    quay.setRobot({ ...robot, password: 'another' })
    await t.test('the robot', withoutQuay)
    quay.setRobot(robot)
    t.notMatch(stack.proxy.output(), /robot .*refused|refuses a robot/, 'the proxy does not learn why')
  })

  await suite.test('quay is gone', async (t) => {
    await quay.close()
    await withoutQuay(t)
    const { status, body } = await get('openshift/ci/tags/list')
    t.equal(status, 200)
    const { tags } = JSON.parse(body.toString()) as { tags: string[] }
    t.same(tags, ['ocp_4.5_base'], 'the tag that was pulled, as if there were no others')
    for (const url of [`${stack.url}/readyz`, `${cache.url}/v2/`]) t.ok(await answers(url, 200), url)
    await t.rejects(startCache(options), /panic: Get .*\/v2\//, 'no replica can start')
  })

  await endStack(suite, stack)
})
