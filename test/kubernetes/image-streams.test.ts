import type { Test } from 'tap'
import t from 'tap'
import { createImageStreamWatch, type ImageStreamsOptions } from '../../src/kubernetes/image-streams.ts'
import { until } from '../support/until.ts'
import { hex, startApi } from './watching.ts'

/** Who keeps what it is told, as the index does. */
const start = async (test: Test, options: Partial<ImageStreamsOptions> = {}) => {
  const started = await startApi(test)
  const known = new Map<string, string>()
  const troubles: string[] = []
  const lists: number[] = []
  let watches = 0
  const watch = createImageStreamWatch({
    kubeConfig: started.kubeConfig,
    retryMs: 2,
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
    onTrouble: (trouble, { message }) => void troubles.push(`${trouble}: ${message}`),
    onWatch: () => {
      watches++
    },
    ...options,
  })
  test.teardown(watch.close)
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
  return { ...started, watch, known, troubles, lists, same, put, watched, watches: () => watches }
}

const list = {
  apiVersion: 'image.openshift.io/v1',
  kind: 'ImageStreamList',
  metadata: { resourceVersion: '1' },
}

await t.test('listed first, then told of every change', async (test) => {
  const { watch, put, same, imageStreams, lists, watched, troubles } = await start(test)
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
  test.strictSame(troubles, [])
})

await t.test('an object without a status, tags or items names nothing', async (test) => {
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

await t.test('an event that tells no version is taken, and the version before it stays', async (test) => {
  const { watch, imageStreams, put, same, watched } = await start(test)
  watch.start()
  await watched()
  imageStreams.bookmark({})
  put('a', hex('a'))
  await same({ 'ocp/a': 'a' })
  test.equal(imageStreams.requests.watches, 1)
})

await t.test('an object without a name is no list to rely upon', async (test) => {
  const { watch, imageStreams, troubles } = await start(test)
  const body = { ...list, items: [{}, { metadata: { namespace: 'ocp' } }] }
  test.intercept(Object.getPrototypeOf(imageStreams) as { answer: unknown }, 'answer', {
    value: () => ({ status: 200, body }),
  })
  watch.start()
  await until(() => troubles.length === 2)
  test.equal(watch.listed(), false)
  test.match(troubles[0], 'list: an ImageStream without a namespace or a name')
})

await t.test('cut, it resumes where it was: nothing is lost, nothing listed again', async (test) => {
  const { watch, put, same, imageStreams, lists, watched, troubles } = await start(test)
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
  test.equal(troubles.length, 2)
  test.match(troubles, [/^watch: /, /^watch: /])
})

for (const as of ['event', 'status'] as const)
  await t.test(`410 as ${as}: listed again, and what was deleted meanwhile is gone`, async (test) => {
    const { watch, put, same, imageStreams, lists, watched, troubles } = await start(test)
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
    test.match(troubles, [/^expired: 410/])
  })

await t.test(
  'while it cannot list, what is known stays, and it tries again less and less often',
  async (test) => {
    const { api, watch, put, same, imageStreams, watched, troubles, known, watches } = await start(test, {
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
    await until(() => troubles.length >= 5)
    test.strictSame([...known], [['ocp/a', 'a']])
    test.equal(watch.listed(), true)
    test.match(
      troubles.slice(1, 5),
      Array.from({ length: 4 }, () => /^watch: Service Unavailable/),
    )
    test.ok(watches() >= 5)
    api.fault({ kind: 'none' })
    put('b', hex('b'))
    await same({ 'ocp/a': 'a', 'ocp/b': 'b' })
    test.match(troubles.at(-1), /^expired/)
  },
)

await t.test('a bookmark counts as news, silence is measured, and given up in time', async (test) => {
  let now = 0
  const { watch, imageStreams, watched, troubles } = await start(test, { now: () => now, silenceMs: 60 })
  now = 500
  test.equal(watch.silentMs(), 500)
  watch.start()
  await watched()
  now = 700
  imageStreams.bookmark()
  await until(() => watch.silentMs() === 0)
  now = 900
  test.equal(watch.silentMs(), 200)
  await until(() => imageStreams.requests.watches > 2)
  test.match(troubles[0], /^watch: .*timeout/)
})

await t.test('closing ends it at once, be it in a list or in a pause, and says nothing', async (test) => {
  for (const kind of ['hang', 'status'] as const) {
    const { api, watch, troubles } = await start(test, { retryMs: 60_000, maxRetryMs: 60_000 })
    api.fault({ kind })
    watch.start()
    if (kind === 'status') await until(() => troubles.length === 1)
    await watch.close()
    test.equal(troubles.length, kind === 'status' ? 1 : 0)
    test.equal(watch.listed(), false)
  }
  const { watch } = await start(test)
  await test.resolves(watch.close(), 'one that was not started')
})

await t.test(
  'reference tags: the digest behind each host of the monorepo, and of no other repository',
  async (test) => {
    const monorepos = ['quay-proxy.ci.openshift.org/openshift/ci', 'quay.io/openshift/ci']
    const { watch, imageStreams, known, lists } = await start(test, { monorepos })
    const at = (host: string, letter: string) => `${host}@${hex(letter)}`
    const status = (dockerImageReference: unknown, image: unknown = '') => ({
      tags: [{ tag: 'latest', items: [{ image, dockerImageReference }] }],
    })
    const spec = (kind: string, name: unknown) => ({ tags: [{ name: 'latest', from: { kind, name } }] })
    const rows: readonly (readonly [string, object, string])[] = [
      ['first-host', { status: status(at(monorepos[0]!, 'a')) }, 'a'],
      ['second-host', { status: status(at(monorepos[1]!, 'b')) }, 'b'],
      ['image-first', { status: status(at(monorepos[0]!, 'a'), hex('c')) }, 'c'],
      ['foreign', { status: status(at('quay.io/openshift/other', 'a')) }, ''],
      ['foreign-host', { status: status(at('evil.example/quay.io/openshift/ci', 'a')) }, ''],
      ['by-tag', { status: status(`${monorepos[0]}:ocp_4.15_base`) }, ''],
      ['no-digest', { status: status(`${monorepos[0]}@sha256:short`) }, ''],
      ['nothing-before', { status: status(`@${hex('a')}`) }, ''],
      ['odd', { status: status(7) }, ''],
      ['odd-tag', { status: { tags: [{ tag: 7, items: [{ image: hex('a') }] }] } }, ''],
      ['absent', { status: status(undefined) }, ''],
      ['spec', { spec: spec('DockerImage', at(monorepos[1]!, 'd')) }, 'd'],
      ['spec-of-another-kind', { spec: spec('ImageStreamTag', at(monorepos[1]!, 'd')) }, ''],
      ['spec-odd', { spec: spec('DockerImage', null) }, ''],
      ['spec-null', { spec: { tags: [{ name: 'latest', from: null }, { from: {} }, {}] } }, ''],
      [
        'spec-without-a-name',
        { spec: { tags: [{ from: { kind: 'DockerImage', name: at(monorepos[0]!, 'a') } }] } },
        'a: ',
      ],
      ['null-lists', { spec: { tags: null }, status: { tags: null } }, ''],
      ['null', { spec: null, status: null }, ''],
      ['null-items', { status: { tags: [{ tag: 'latest', items: null }] } }, ''],
      [
        'status-first',
        { spec: spec('DockerImage', at(monorepos[0]!, 'e')), status: status(at(monorepos[0]!, 'f')) },
        'fe',
      ],
    ]
    const items = rows.map(([name, object]) => ({ metadata: { namespace: 'ocp', name }, ...object }))
    const answer = { status: 200, body: { ...list, items } }
    test.intercept(Object.getPrototypeOf(imageStreams) as { answer: unknown }, 'answer', {
      value: () => answer,
    })
    watch.start()
    await until(() => lists.length > 0)
    for (const [name, , expected] of rows) test.equal(known.get(`ocp/${name}`), expected, name)
  },
)
