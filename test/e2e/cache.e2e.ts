import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import { ask, blobsIn, image, largestBlob, robot, startCachedStack, watch } from './cached-stack.ts'
import { readImage, readLayout } from './layout.ts'
import { missing, plainEnv, run } from './process.ts'
import { endStack } from './stack.ts'

const skip = missing('docker-registry', 'skopeo')

const absent = `sha256:${'0'.repeat(64)}`

await test('with a pull-through cache in front of quay', { skip }, async (suite) => {
  const { stack, cache, uncached, base, get, pullAs, pullBase, cacheBase } = await startCachedStack(suite)
  const { quay, stock, tokens } = stack
  const large = await image('large', 3 * 1024 * 1024)
  quay.tag('ocp_4.16_large', large)
  const embargoed = stock.tags.find(({ tag }) => tag === 'ocp-priv_4.5_embargoed')!
  const blobs = await cacheBase()

  await suite.test('a blob that one client pulled comes from the cache for another client', async (t) => {
    const second = watch(quay)
    const policy = join(stack.directory, 'cache-policy.json')
    await writeFile(policy, JSON.stringify({ default: [{ type: 'insecureAcceptAnything' }] }))
    const layout = await stack.scratch('copied')
    const copied = await run(
      'skopeo',
      [
        `--policy=${policy}`,
        ...'copy --all --preserve-digests --src-tls-verify=false'.split(' '),
        `--src-creds=alice:${tokens.alice}`,
        `docker://${stack.host}/openshift/ci:ocp_4.5_base`,
        `oci:${layout}:copy`,
      ],
      { env: plainEnv({ HOME: stack.directory, XDG_RUNTIME_DIR: stack.directory }) },
    )
    t.equal(copied.code, 0, copied.output)
    t.same((await readLayout(layout)).tagged, [base.digest])
    t.equal((await readImage(layout, base.digest)).manifests.length, 1 + base.platforms.length)
    // The tag, with a new token each time: distribution caches none.
    t.same(new Set(second()), new Set(['GET /v2/auth', 'HEAD /v2/openshift/ci/manifests/ocp_4.5_base']))
    t.same(quay.leaks, [], 'and the CDN saw no credential')
  })

  await suite.test('a pull by digest costs quay no request', async (t) => {
    const asked = watch(quay)
    t.equal((await pullBase(base.digest)).digest, base.digest)
    t.same(asked(), [])
  })

  await suite.test(
    'a range of a blob: 200 with the whole blob the first time, 206 once it is stored',
    async (t) => {
      const { digest, content } = largestBlob(large)
      const part = () => get(`openshift/ci/blobs/${digest}`, tokens.alice, { range: 'bytes=100-199' })
      const first = watch(quay)
      t.match(await part(), { status: 200, digest })
      await cache.stored([digest])
      // Once for the client and once for the cache.
      t.equal(first().filter((line) => line.startsWith('GET /sha256/')).length, 2)
      const second = watch(quay)
      const { status, headers, body } = await part()
      t.equal(status, 206)
      t.equal(headers.get('content-range'), `bytes 100-199/${content.length}`)
      t.same(body, content.subarray(100, 200))
      t.same(second(), [])
    },
  )

  await suite.test('the cache does not authenticate; the proxy does, for cached images too', async (t) => {
    const robots = watch(quay)
    await pullAs(robot.username, robot.password, 'ocp-priv/4.5', 'embargoed')
    await cache.stored(blobsIn(robots()))
    const paths = ['manifests/ocp-priv_4.5_embargoed', `manifests/${embargoed.digest}`]
    const asked = watch(quay)
    for (const path of paths) {
      t.equal((await ask(`${cache.url}/v2/openshift/ci/${path}`)).digest, embargoed.digest, `cache: ${path}`)
      t.match(await get(`openshift/ci/${path}`), { status: 403, code: 'DENIED' }, `alice: ${path}`)
    }
    for (const path of ['manifests/ocp_4.5_base', `manifests/${base.digest}`, `blobs/${blobs[0]}`]) {
      t.match(await get(`openshift/ci/${path}`, tokens.mallory), { status: 403, code: 'DENIED' }, path)
      t.equal((await ask(`${stack.url}/v2/openshift/ci/${path}`)).status, 401, path)
    }
    // The requests of the cache for the first path above.
    t.same(asked(), ['GET /v2/auth', 'HEAD /v2/openshift/ci/manifests/ocp-priv_4.5_embargoed'])
  })

  await suite.test('a moved tag is seen at once, an expired tag is served from the cache', async (t) => {
    const [before, after] = [await image('before', 1024), await image('after', 1024)]
    const moving = async () => (await get('openshift/ci/manifests/ocp_4.16_moving')).digest
    quay.tag('ocp_4.16_moving', before)
    t.equal(await moving(), before.digest)
    quay.tag('ocp_4.16_moving', after)
    t.equal(await moving(), after.digest)
    quay.untag('ocp_4.16_moving')
    t.equal(await moving(), after.digest)
  })

  await suite.test('content that the cache does not have, and answers that differ from quay', async (t) => {
    t.match(await get(`ocp/4.5/referrers/${base.digest}`), { status: 404, code: 'UNSUPPORTED' })
    t.match(await get(`openshift/ci/manifests/${absent}`), { status: 503, code: 'UNAVAILABLE' })
    t.match(await get(`openshift/ci/blobs/${absent}`), { status: 404, code: 'BLOB_UNKNOWN' })
    // All tags at once, whatever `n` is: 30,000 tags of 40 characters are more than the proxy reads as one page.
    t.equal((await get('openshift/ci/tags/list')).status, 200)
    const many = Array.from({ length: 30_000 }, (_, number) => `ocp_many_${'x'.repeat(25)}${number}`)
    quay.tagMany(many, uncached)
    // From another tag on, because the first page is cached.
    t.match(await get('openshift/ci/tags/list?last=ocp'), { status: 503, code: 'UNAVAILABLE' })
    for (const tag of many) quay.untag(tag)
  })

  await suite.test('the log of the cache holds no password', async (t) => {
    t.not(cache.output(), '')
    t.notOk(cache.output().includes(robot.password))
  })

  await endStack(suite, stack)
})
