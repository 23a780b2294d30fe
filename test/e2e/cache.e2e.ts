import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type Test } from 'tap'
import { pull } from '../../src/sandbox/pull.ts'
import { buildImage, type Image } from '../../src/sandbox/quay/images.ts'
import { readImage, readLayout } from './layout.ts'
import { answers, freePort, missing, plainEnv, run, startService } from './process.ts'
import { expireAll, startCache } from './pull-through-cache.ts'
import { endStack, root, startQuayStack, type QuayStack } from './stack.ts'

const skip = missing('docker-registry', 'skopeo')

// the one of stack.ts
const robot = { username: 'openshift+ci_reader', password: 'robot-password-4711' }
const absent = `sha256:${'0'.repeat(64)}`
const accept = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ')

const digestOf = (bytes: Uint8Array) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`

/** The proxy of a stack once more, with the cache as its upstream. */
const startProxy = async ({ directory }: QuayStack, upstream: string) => {
  const host = `127.0.0.1:${await freePort()}`
  const url = `http://${host}`
  const file = (name: string) => join(directory, name)
  const args = [
    `--listen-addr=${host}`,
    `--exposed-url=${url}`,
    `--upstream=${upstream}`,
    '--upstream-repository=openshift/ci',
    `--robot-username-file=${file('robot-username')}`,
    `--robot-password-file=${file('robot-password')}`,
    `--token-secret-file=${file('token-secret')}`,
    `--kubeconfig=${file('kubeconfig')}`,
    '--grace-period=2s',
  ]
  const main = join(root, 'src/main.ts')
  const ready = () => answers(`${url}/readyz`, 200)
  const proxy = await startService(process.execPath, [main, 'serve', ...args], ready, { cwd: directory })
  return { host, url, proxy }
}

type Answer = { status: number; headers: Headers; body: Buffer; digest: string; code: string | undefined }

const ask = async (url: string, headers: Record<string, string> = {}): Promise<Answer> => {
  const response = await fetch(url, { headers: { accept, ...headers } })
  const body = Buffer.from(await response.arrayBuffer())
  const code = response.ok
    ? undefined
    : (JSON.parse(body.toString()) as { errors: [{ code: string }] }).errors[0].code
  return { status: response.status, headers: response.headers, body, digest: digestOf(body), code }
}

/** What quay and its CDN are asked from now on, without queries: those sign. */
const watch = ({ requests }: QuayStack['quay']) => {
  const start = requests.length
  return () => requests.slice(start).map(({ method, url }) => `${method} ${url.replace(/\?.*/, '')}`)
}

/** The blobs that the cache did not have. */
const blobsIn = (lines: readonly string[]) => [
  ...new Set(lines.flatMap((line) => /^HEAD .*\/blobs\/(.*)$/.exec(line)?.[1] ?? [])),
]

const image = (name: string, layerBytes: number) =>
  buildImage({ name, platforms: ['linux/amd64'], layers: 1, layerBytes, format: 'oci' })

const largestBlob = ({ blobs }: Image) => {
  const [largest] = [...blobs].toSorted(([, a], [, b]) => b.length - a.length)
  return { digest: largest![0], content: largest![1] }
}

await test('with a pull-through cache in front of quay', { skip }, async (suite) => {
  const direct = await startQuayStack(suite)
  // that one asks quay itself
  await direct.proxy.stop()
  const { quay, stock, tokens } = direct
  const large = await image('large', 3 * 1024 * 1024)
  const uncached = await image('uncached', 1024)
  quay.tag('ocp_4.16_large', large)
  quay.tag('ocp_4.16_uncached', uncached)
  const base = stock.tags.find(({ tag }) => tag === 'ocp_4.5_base')!
  const embargoed = stock.tags.find(({ tag }) => tag === 'ocp-priv_4.5_embargoed')!

  const storage = join(await direct.scratch('cache'), 'storage')
  const options = { storage, upstream: quay, robot }
  const cache = await startCache(options)
  direct.defer(cache.stop)
  const stack = { ...direct, ...(await startProxy(direct, cache.url)) }
  direct.defer(stack.proxy.stop)

  const get = (path: string, token = tokens.alice, headers = {}) =>
    ask(`${stack.url}/v2/${path}`, { authorization: `Bearer ${token}`, ...headers })
  const pullAs = (user: string, token: string, repository: string, reference: string) => {
    const registry = stack.url
    return pull({ registry, repository, reference, username: user, password: token })
  }
  const pullBase = (reference = 'base') => pullAs('alice', tokens.alice, 'ocp/4.5', reference)
  let blobs: string[] = []

  await suite.test('what one client pulled, another one gets from the cache', async (t) => {
    const first = watch(quay)
    t.equal((await pullBase()).digest, base.digest)
    blobs = blobsIn(first())
    t.equal(blobs.length, (await pullBase()).blobs)
    await cache.stored(blobs)

    const second = watch(quay)
    const policy = join(direct.directory, 'cache-policy.json')
    await writeFile(policy, JSON.stringify({ default: [{ type: 'insecureAcceptAnything' }] }))
    const layout = await direct.scratch('copied')
    const copied = await run(
      'skopeo',
      [
        `--policy=${policy}`,
        ...'copy --all --preserve-digests --src-tls-verify=false'.split(' '),
        `--src-creds=alice:${tokens.alice}`,
        `docker://${stack.host}/openshift/ci:ocp_4.5_base`,
        `oci:${layout}:copy`,
      ],
      { env: plainEnv({ HOME: direct.directory, XDG_RUNTIME_DIR: direct.directory }) },
    )
    t.equal(copied.code, 0, copied.output)
    t.same((await readLayout(layout)).tagged, [base.digest])
    t.equal((await readImage(layout, base.digest)).manifests.length, 1 + base.platforms.length)
    // the tag, with a token of its own each time: distribution keeps none from one request to the next
    t.same(new Set(second()), new Set(['GET /v2/auth', 'HEAD /v2/openshift/ci/manifests/ocp_4.5_base']))
    t.same(quay.leaks, [], 'and the CDN saw no credential')
  })

  await suite.test('by digest quay is asked nothing at all', async (t) => {
    const asked = watch(quay)
    t.equal((await pullBase(base.digest)).digest, base.digest)
    t.same(asked(), [])
  })

  await suite.test('a part of a blob: all of it the first time, 206 once it is stored', async (t) => {
    const { digest, content } = largestBlob(large)
    const part = () => get(`openshift/ci/blobs/${digest}`, tokens.alice, { range: 'bytes=100-199' })
    const first = watch(quay)
    t.match(await part(), { status: 200, digest })
    await cache.stored([digest])
    // one time for the client and one time for the cache
    t.equal(first().filter((line) => line.startsWith('GET /sha256/')).length, 2)
    const second = watch(quay)
    const { status, headers, body } = await part()
    t.equal(status, 206)
    t.equal(headers.get('content-range'), `bytes 100-199/${content.length}`)
    t.same(body, content.subarray(100, 200))
    t.same(second(), [])
  })

  await suite.test(
    'the cache asks nobody who they are; the proxy does, about cached images too',
    async (t) => {
      const robots = watch(quay)
      await pullAs(robot.username, robot.password, 'ocp-priv/4.5', 'embargoed')
      await cache.stored(blobsIn(robots()))
      const paths = ['manifests/ocp-priv_4.5_embargoed', `manifests/${embargoed.digest}`]
      const asked = watch(quay)
      for (const path of paths) {
        t.equal(
          (await ask(`${cache.url}/v2/openshift/ci/${path}`)).digest,
          embargoed.digest,
          `cache: ${path}`,
        )
        t.match(await get(`openshift/ci/${path}`), { status: 403, code: 'DENIED' }, `alice: ${path}`)
      }
      for (const path of ['manifests/ocp_4.5_base', `manifests/${base.digest}`, `blobs/${blobs[0]}`]) {
        t.match(await get(`openshift/ci/${path}`, tokens.mallory), { status: 403, code: 'DENIED' }, path)
        t.equal((await ask(`${stack.url}/v2/openshift/ci/${path}`)).status, 401, path)
      }
      // of the cache, for the first path above
      t.same(asked(), ['GET /v2/auth', 'HEAD /v2/openshift/ci/manifests/ocp-priv_4.5_embargoed'])
    },
  )

  await suite.test('a tag that moved is seen at once, one that expired lives on', async (t) => {
    const [before, after] = [await image('before', 1024), await image('after', 1024)]
    const moving = async () => (await get('openshift/ci/manifests/ocp_4.16_moving')).digest
    quay.tag('ocp_4.16_moving', before)
    t.equal(await moving(), before.digest)
    quay.tag('ocp_4.16_moving', after)
    t.equal(await moving(), after.digest)
    quay.untag('ocp_4.16_moving')
    t.equal(await moving(), after.digest)
  })

  await suite.test('one replica deletes what is a week old, the other one fetches it again', async (t) => {
    await expireAll(storage, quay.repository, blobs)
    const replica = await startCache(options)
    direct.defer(replica.stop)
    await cache.gone(blobs)
    const asked = watch(quay)
    t.equal((await pullBase()).digest, base.digest)
    for (const digest of blobs) t.ok(asked().includes(`HEAD /v2/openshift/ci/blobs/${digest}`), digest)
    await cache.stored(blobs)
    const again = watch(quay)
    t.equal((await ask(`${replica.url}/v2/openshift/ci/blobs/${blobs[0]}`)).digest, blobs[0])
    t.same(again(), [], 'and what it fetched is there for both')
  })

  await suite.test('what it does not have, or says otherwise than quay', async (t) => {
    t.match(await get(`ocp/4.5/referrers/${base.digest}`), { status: 404, code: 'UNSUPPORTED' })
    t.match(await get(`openshift/ci/manifests/${absent}`), { status: 503, code: 'UNAVAILABLE' })
    t.match(await get(`openshift/ci/blobs/${absent}`), { status: 404, code: 'BLOB_UNKNOWN' })
    // all tags at once, whatever `n` says: 30,000 of 40 characters are more than the proxy reads as one page
    t.equal((await get('openshift/ci/tags/list')).status, 200)
    const many = Array.from({ length: 30_000 }, (_, number) => `ocp_many_${'x'.repeat(25)}${number}`)
    quay.tagMany(many, uncached)
    t.match(await get('openshift/ci/tags/list'), { status: 503, code: 'UNAVAILABLE' })
    for (const tag of many) quay.untag(tag)
  })

  await suite.test('what arrives broken is not kept', async (t) => {
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

  /** What is stored, and what is not, while the cache cannot ask quay. */
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
    t.same(tags, ['ocp_4.16_moving', 'ocp_4.5_base'], 'the tags that were pulled, as if there were no others')
    for (const url of [`${stack.url}/readyz`, `${cache.url}/v2/`]) t.ok(await answers(url, 200), url)
    await t.rejects(startCache(options), /panic: Get .*\/v2\//, 'no replica can start')
  })

  await suite.test('the log of the cache holds no password', async (t) => {
    t.not(cache.output(), '')
    t.notOk(cache.output().includes(robot.password))
  })

  await endStack(suite, stack)
})
