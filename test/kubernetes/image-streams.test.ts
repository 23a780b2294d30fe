import type { Test } from 'tap'
import t from 'tap'
import { ImageStreamWatch, type ImageStreamsOptions } from '../../src/kubernetes/image-streams.ts'
import { claimsOf, type TagClaim } from '../../src/kubernetes/tag-claims.ts'
import { until } from '../support/until.ts'
import { hex, startApi } from './watching.ts'

/** A watch whose observer stores what it is told, as the index does. */
const start = async (test: Test, options: Partial<ImageStreamsOptions<readonly TagClaim[]>> = {}) => {
  const started = await startApi(test)
  const known = new Map<string, string>()
  const failures: string[] = []
  const lists: number[] = []
  let watches = 0
  const watch = new ImageStreamWatch({
    kubeConfig: started.kubeConfig,
    retryMs: 2,
    read: (object) => claimsOf(object, []),
    observer: {
      put: ({ namespace, name }, claims) =>
        void known.set(
          `${namespace}/${name}`,
          claims.map(({ digest, tag }) => digest[7] + (tag === 'latest' ? '' : `:${tag} `)).join(''),
        ),
      remove: ({ namespace, name }) => void known.delete(`${namespace}/${name}`),
      listed: (streams) => {
        lists.push(streams.length)
        const keys = new Set(streams.map(({ namespace, name }) => `${namespace}/${name}`))
        for (const key of known.keys()) if (!keys.has(key)) known.delete(key)
      },
    },
    onFailure: (failure, { message }) => void failures.push(`${failure}: ${message}`),
    onWatch: () => {
      watches++
    },
    ...options,
  })
  test.teardown(async () => await watch.close())
  const same = async (expected: Record<string, string>) => {
    const text = (entries: Iterable<readonly [string, string]>) =>
      [...entries]
        .map((entry) => entry.join(' '))
        .toSorted()
        .join()
    const wanted = text(Object.entries(expected))
    await until(() => text(known) === wanted)
  }
  const put = (name: string, ...images: string[]) =>
    started.imageStreams.put({ namespace: 'ocp', name, tags: { latest: images } })
  const watched = async () => await until(() => started.imageStreams.watching === 1)
  return { ...started, watch, known, failures, lists, same, put, watched, watches: () => watches }
}

const list = {
  apiVersion: 'image.openshift.io/v1',
  kind: 'ImageStreamList',
  metadata: { resourceVersion: '1' },
}

await t.test('the observer gets a first list, then every change', async (test) => {
  const { watch, put, same, imageStreams, lists, watched, failures } = await start(test)
  put('a', hex('a'), hex('b'))
  put('none', 'sha256:short', '')
  test.equal(watch.listed(), false)
  watch.start()
  watch.start()
  await same({ 'ocp/a': 'ab', 'ocp/none': '' })
  await watched()
  test.equal(watch.listed(), true)
  put('a', hex('b'))
  put('c', hex('c'))
  imageStreams.delete('ocp', 'none')
  await same({ 'ocp/a': 'b', 'ocp/c': 'c' })
  test.strictSame(lists, [2])
  test.equal(imageStreams.requests.watches, 1)
  test.strictSame(failures, [])
})

await t.test('an object without a status, tags or items claims nothing', async (test) => {
  const { watch, imageStreams, known, lists } = await start(test)
  const metadata = { namespace: 'ocp', name: 'x' }
  const items = [
    { metadata },
    { metadata, status: {} },
    { metadata, status: { tags: null } },
    { metadata, status: { tags: [{ items: null }, { items: [{}] }, {}] } },
  ]
  const answer = { status: 200, body: { ...list, items } }
  test.intercept(Object.getPrototypeOf(imageStreams) as { answer: unknown }, 'answer', {
    value: () => answer,
  })
  watch.start()
  await until(() => lists.length === 1)
  test.strictSame([...known], [['ocp/x', '']])
})

await t.test('an event without a version is accepted, and the version before it stays', async (test) => {
  const { watch, imageStreams, put, same, watched } = await start(test)
  watch.start()
  await watched()
  imageStreams.bookmark({})
  put('a', hex('a'))
  await same({ 'ocp/a': 'a' })
  test.equal(imageStreams.requests.watches, 1)
})

await t.test('a list with an object without a name fails', async (test) => {
  const { watch, imageStreams, failures } = await start(test)
  const body = { ...list, items: [{}, { metadata: { namespace: 'ocp' } }] }
  test.intercept(Object.getPrototypeOf(imageStreams) as { answer: unknown }, 'answer', {
    value: () => ({ status: 200, body }),
  })
  watch.start()
  await until(() => failures.length === 2)
  test.equal(watch.listed(), false)
  test.match(failures[0], 'list: an ImageStream without a namespace or a name')
})

await t.test(
  'a watch that was cut resumes at its last version: nothing is lost, and nothing is listed again',
  async (test) => {
    const { watch, put, same, imageStreams, lists, watched, failures } = await start(test)
    watch.start()
    await watched()
    const wanted: Record<string, string> = {}
    for (const [number, how] of (['cleanly', 'mid-line', 'cleanly', 'mid-line'] as const).entries()) {
      put(`a${number}`, hex('a'))
      imageStreams.cut(how)
      put(`b${number}`, hex('b'))
      wanted[`ocp/a${number}`] = 'a'
      wanted[`ocp/b${number}`] = 'b'
      await same(wanted)
      await watched()
    }
    test.strictSame(lists, [0])
    test.equal(failures.length, 2)
    test.match(failures, [/^watch: /, /^watch: /])
  },
)

for (const as of ['event', 'status'] as const)
  await t.test(
    `410 as ${as}: a new list removes the image streams that were deleted meanwhile`,
    async (test) => {
      const { watch, put, same, imageStreams, lists, watched, failures } = await start(test)
      put('a', hex('a'))
      put('b', hex('b'))
      watch.start()
      await same({ 'ocp/a': 'a', 'ocp/b': 'b' })
      await watched()
      imageStreams.cut()
      imageStreams.delete('ocp', 'a')
      put('c', hex('c'))
      imageStreams.expire(as)
      await same({ 'ocp/b': 'b', 'ocp/c': 'c' })
      test.strictSame(lists, [2, 2])
      test.match(failures, [/^expired: 410/])
    },
  )

await t.test(
  'while lists fail, the observer keeps its image streams, and the pause between attempts grows',
  async (test) => {
    const { api, watch, put, same, imageStreams, watched, failures, known, watches } = await start(test, {
      retryMs: 1,
      maxRetryMs: 4,
    })
    put('a', hex('a'))
    watch.start()
    await same({ 'ocp/a': 'a' })
    await watched()
    api.fault({ kind: 'status' })
    imageStreams.expire()
    imageStreams.cut('mid-line')
    await until(() => failures.length >= 5)
    test.strictSame([...known], [['ocp/a', 'a']])
    test.equal(watch.listed(), true)
    test.match(
      failures.slice(1, 5),
      Array.from({ length: 4 }, () => /^watch: Service Unavailable/),
    )
    test.ok(watches() >= 5)
    api.fault({ kind: 'none' })
    put('b', hex('b'))
    await same({ 'ocp/a': 'a', 'ocp/b': 'b' })
    test.match(failures.at(-1), /^expired/)
  },
)

await t.test(
  'a bookmark counts as an event; silence is measured, and a silent watch is ended',
  async (test) => {
    let now = 0
    const { watch, imageStreams, watched } = await start(test, { now: () => now })
    now = 500
    test.equal(watch.silentMs(), 500)
    watch.start()
    await watched()
    now = 700
    imageStreams.bookmark()
    await until(() => watch.silentMs() === 0)
    now = 900
    test.equal(watch.silentMs(), 200)
    const silent = await start(test, { silenceMs: 60 })
    silent.watch.start()
    await until(() => silent.imageStreams.requests.watches > 2)
    test.match(silent.failures[0], /^watch: .*timeout/)
  },
)

await t.test(
  'all are listed again for a reader that takes something else of them, in pages',
  async (test) => {
    let letters = 1
    const read: ImageStreamsOptions<readonly TagClaim[]>['read'] = (object) =>
      claimsOf(object, []).slice(0, letters)
    const { watch, put, same, imageStreams, lists, watched, failures } = await start(test, {
      read,
      pageSize: 2,
    })
    for (const name of ['a', 'b', 'c']) put(name, hex('a'), hex('b'))
    watch.relist()
    watch.start()
    await same({ 'ocp/a': 'a', 'ocp/b': 'a', 'ocp/c': 'a' })
    await watched()
    test.equal(imageStreams.requests.pages, 2)
    letters = 2
    watch.relist()
    await same({ 'ocp/a': 'ab', 'ocp/b': 'ab', 'ocp/c': 'ab' })
    test.strictSame(lists, [3, 3])
    await watched()
    put('d', hex('d'))
    await same({ 'ocp/a': 'ab', 'ocp/b': 'ab', 'ocp/c': 'ab', 'ocp/d': 'd' })
    test.strictSame(failures, [])
  },
)

await t.test('closing ends a list or a pause at once, and reports no failure', async (test) => {
  for (const kind of ['hang', 'status'] as const) {
    const { api, watch, failures } = await start(test, { retryMs: 60_000, maxRetryMs: 60_000 })
    api.fault({ kind })
    watch.start()
    if (kind === 'status') await until(() => failures.length === 1)
    await watch.close()
    test.equal(failures.length, kind === 'status' ? 1 : 0)
    test.equal(watch.listed(), false)
  }
  const { watch } = await start(test)
  await test.resolves(watch.close(), 'one that was not started')
})
