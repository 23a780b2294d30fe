import { join } from 'node:path'
import { KubeConfig } from '@kubernetes/client-node'
import t from 'tap'
import { ResourceVersionExpired, readEvents, readPages } from '../../src/kubernetes/list-and-watch.ts'
import { loadKubeConfig } from '../../src/kubernetes/kubeconfig.ts'
import { startForeign } from './answers.ts'
import { kubeConfigOf } from './kubeconfig-of.ts'
import { until } from '../support/until.ts'
import { always, serverFor } from '../upstream/upstream.ts'
import { hex, startApi } from './watching.ts'

const resource = { group: 'image.openshift.io', version: 'v1', plural: 'imagestreams' }
const stream = (name: string) => ({ namespace: 'ocp', name, tags: { latest: [hex('a')] } })
const never = new AbortController().signal

await t.test('a list is read in pages, all of one moment', async (test) => {
  const { kubeConfig, imageStreams } = await startApi(test)
  for (let number = 0; number < 1001; number++) imageStreams.put(stream(`s${number}`))
  const pages: number[] = []
  const version = await readPages(kubeConfig, resource, never, (items) => void pages.push(items.length))
  test.strictSame(pages, [500, 500, 1])
  test.equal(version, '2001')
  test.equal(imageStreams.requests.pages, 3)
})

await t.test('a list of a namespace, of one object, and in smaller pages', async (test) => {
  const { kubeConfig, imageStreams } = await startApi(test)
  for (const namespace of ['ocp', 'origin'])
    for (const name of ['a', 'b', 'c']) imageStreams.put({ ...stream(name), namespace })
  const read = async (bounds: Parameters<typeof readPages>[4]) => {
    const pages: string[] = []
    await readPages(
      kubeConfig,
      resource,
      never,
      (items) =>
        void pages.push(items.map(({ metadata }) => `${metadata?.namespace}/${metadata?.name}`).join(' ')),
      bounds,
    )
    return pages
  }
  test.strictSame(await read({ namespace: 'ocp', pageSize: 2 }), ['ocp/a ocp/b', 'ocp/c'])
  test.strictSame(await read({ namespace: 'origin', name: 'b' }), ['origin/b'])
  test.strictSame(await read({ namespace: 'none' }), [''])
})

await t.test(
  'a list that changed under way is a failure, as is a refusal; neither tells a header',
  async (test) => {
    const { api, kubeConfig, imageStreams } = await startApi(test)
    for (let number = 0; number < 501; number++) imageStreams.put(stream(`s${number}`))
    await test.rejects(
      readPages(kubeConfig, resource, never, () => imageStreams.expire()),
      { message: 'API server answered 410' },
    )
    api.replaceObjects([])
    await test.rejects(
      readPages(kubeConfig, resource, never, () => undefined),
      {
        message:
          /^API server answered 403: "imagestreams\.image\.openshift\.io is forbidden: User .* cannot list /,
      },
    )
    api.fault({ kind: 'hang' })
    const ending = new AbortController()
    const hanging = readPages(kubeConfig, resource, ending.signal, () => undefined)
    ending.abort()
    await test.rejects(hanging, { name: 'AbortError' })
  },
)

/** Answers of other servers at the API server's address, and empty lists of its own. */
const list = {
  apiVersion: 'image.openshift.io/v1',
  kind: 'ImageStreamList',
  metadata: { resourceVersion: '7' },
}
const answers: readonly (readonly [what: string, body: unknown, outcome: RegExp | string])[] = [
  ['an empty list', { ...list, items: [] }, '7'],
  ['an empty list, as Go may write it', { ...list, items: null }, '7'],
  ['a list without items', list, '7'],
  ['no fields', {}, /something other than a list/],
  ['nothing', null, /something other than a list/],
  ['a number', 5, /something other than a list/],
  ['a list of JSON', [], /something other than a list/],
  ['a page in quotes', '<html>welcome</html>', /something other than a list/],
  [
    'a Status',
    { kind: 'Status', apiVersion: 'v1', status: 'Success', metadata: {} },
    /something other than a list/,
  ],
  ['a list of another kind', { ...list, apiVersion: 'v1', kind: 'PodList' }, /something other than a list/],
  ['one object', { ...list, kind: 'ImageStream' }, /something other than a list/],
  ['a kind that is none', { ...list, kind: ['ImageStreamList'] }, /something other than a list/],
  ['no version', { ...list, metadata: {}, items: [] }, /something other than a list/],
  ['an empty version', { ...list, metadata: { resourceVersion: '' } }, /something other than a list/],
  ['a version of another type', { ...list, metadata: { resourceVersion: 7 } }, /something other than a list/],
  ['no metadata', { ...list, metadata: null }, /something other than a list/],
  ['items of another type', { ...list, items: { 0: {} } }, /without valid items/],
  ['an item that is none', { ...list, items: [null] }, /object without valid names/],
  [
    'an item with a number for a name',
    { ...list, items: [{ metadata: { name: 5 } }] },
    /object without valid names/,
  ],
]

await t.test(
  'attack: an answer that is not a list fails, and is not read as a list without objects',
  async (test) => {
    const { api, kubeConfig } = await startApi(test)
    const other = { ...resource, group: 'authentication.k8s.io' }
    await test.rejects(
      readPages(kubeConfig, other, never, () => undefined),
      { message: /404/ },
    )
    let body: unknown
    test.intercept(Object.getPrototypeOf(api.imageStreams) as { answer: unknown }, 'answer', {
      value: () => ({ status: 200, body: typeof body === 'string' ? JSON.stringify(body) : body }),
    })
    for (const [what, said, outcome] of answers) {
      body = said
      const pages: number[] = []
      const read = readPages(kubeConfig, resource, never, (items) => void pages.push(items.length))
      if (typeof outcome === 'string') test.equal(await read, outcome, what)
      else await test.rejects(read, { message: outcome }, what)
      test.strictSame(pages, typeof outcome === 'string' ? [0] : [], what)
    }
  },
)

const watching = async (test: Parameters<typeof startApi>[0], silenceMs = 5000) => {
  const started = await startApi(test)
  const events: string[] = []
  const ending = new AbortController()
  const watch = async (resourceVersion: string, kubeConfig = started.kubeConfig) =>
    await readEvents(
      { kubeConfig, resource, resourceVersion, signal: ending.signal, silenceMs },
      ({ type, object }) => {
        if (object.metadata?.name === 'bad') throw new Error('a bad one')
        events.push(`${type} ${object.metadata?.name} ${object.metadata?.resourceVersion}`)
      },
    )
  return { ...started, events, ending, watch }
}

await t.test(
  'a watch reports the events since a version, and ends when the API server ends it',
  async (test) => {
    const { imageStreams, events, watch } = await watching(test)
    imageStreams.put(stream('before'))
    const watched = watch('1000')
    await until(() => events.length === 1)
    imageStreams.put(stream('before'))
    imageStreams.delete('ocp', 'before')
    imageStreams.bookmark()
    await until(() => events.length === 4)
    imageStreams.cut()
    test.equal(await watched, undefined)
    test.strictSame(events, [
      'ADDED before 1001',
      'MODIFIED before 1002',
      'DELETED before 1003',
      'BOOKMARK undefined 1003',
    ])
  },
)

await t.test('a watch that was cut in the middle of a line drops the half line, and fails', async (test) => {
  const { imageStreams, events, watch } = await watching(test)
  const watched = watch('1000')
  await until(() => imageStreams.watching === 1)
  imageStreams.cut('mid-line')
  const error = await watched
  test.ok(error instanceof Error)
  test.notOk(error instanceof ResourceVersionExpired)
  test.strictSame(events, [])
})

await t.test(
  '410 as an event or as a status, and an event that its receiver rejects, expire the resource version',
  async (test) => {
    const { imageStreams, events, watch } = await watching(test)
    imageStreams.expire()
    test.match(await watch('1000'), {
      name: 'ResourceVersionExpired',
      message: '410 too old resource version',
    })
    imageStreams.expire('status')
    test.match(await watch('1000'), { name: 'ResourceVersionExpired', message: '410 Gone' })
    const watched = watch('1002')
    await until(() => imageStreams.watching === 1)
    imageStreams.put(stream('bad'))
    imageStreams.put(stream('after'))
    test.match(await watched, { name: 'ResourceVersionExpired', message: 'a bad one' })
    test.strictSame(events, [], 'what comes after is not taken for all there is')
  },
)

/** Lines that are sent instead of an event. */
const oddEvents: readonly (readonly [object: unknown, message: RegExp])[] = [
  [{ type: 'ADDED' }, /object without valid names/],
  [{ type: 'ADDED', object: null }, /object without valid names/],
  [{ type: 'DELETED', object: { metadata: { namespace: 5, name: 'a' } } }, /object without valid names/],
  [{ type: 'BOOKMARK', object: { metadata: { resourceVersion: {} } } }, /object without valid names/],
  [{ type: 'deleted', object: {} }, /event of an unknown type/],
  [{ kind: 'Status', code: 401 }, /event of an unknown type/],
  [null, /event of an unknown type/],
  [{ type: 'ERROR', object: null }, /^undefined undefined$/],
  [{ type: 'ERROR', object: { code: 500, message: 'a\u001b'.repeat(1000) } }, /^500 (?:a\?)+\.\.$/],
]

await t.test('attack: a line that is no event ends the watch without an event', async (test) => {
  for (const [line, message] of oddEvents) {
    const server = await serverFor(
      test,
      always(200, { 'content-type': 'application/json' }, `${JSON.stringify(line)}\n`),
    )
    const kubeConfig = new KubeConfig()
    kubeConfig.loadFromClusterAndUser({ name: 'c', server: server.url, skipTLSVerify: true }, { name: 'u' })
    const events: unknown[] = []
    const request = { kubeConfig, resource, resourceVersion: '1', signal: never, silenceMs: 5000 }
    const error = await readEvents(request, (event) => void events.push(event))
    if (line === null) test.equal(error, undefined, 'no line of JSON that says anything')
    else test.match(error, { name: 'ResourceVersionExpired', message }, JSON.stringify(line).slice(0, 80))
    test.strictSame(events, [])
  }
})

await t.test('silence, a refusal and a kubeconfig without a cluster are errors', async (test) => {
  const impatient = await watching(test, 50)
  test.match(await impatient.watch('1000'), { name: 'TimeoutError' })
  const { api, watch } = await watching(test, 60_000)
  api.replaceObjects([])
  test.match(await watch('1000'), { message: 'Forbidden' })
  test.match(await watch('1000', new KubeConfig()), { message: /No currently active cluster/ })
})

await t.test(
  'an aborted watch ends at once, whether it is open, not answered yet, or not begun',
  async (test) => {
    const { imageStreams, ending, watch, api } = await watching(test)
    const open = watch('1000')
    await until(() => imageStreams.watching === 1)
    api.fault({ kind: 'hang' })
    const hanging = watch('1000')
    ending.abort()
    test.strictSame(await Promise.all([open, hanging, watch('1000')]), [undefined, undefined, undefined])
    await until(() => imageStreams.watching === 0)
  },
)

await t.test('lists and watches name the program', async (test) => {
  const server = await startForeign(test)
  const file = join(test.testdir({ config: kubeConfigOf(server.port) }), 'config')
  const kubeConfig = loadKubeConfig(file)
  kubeConfig.userAgent = 'quay-proxy/0.0.0'
  server.answer = { status: 403, body: '' }
  await test.rejects(readPages(kubeConfig, resource, never, () => undefined))
  await readEvents(
    { kubeConfig, resource, resourceVersion: '1', silenceMs: 1000, signal: never },
    () => undefined,
  )
  test.strictSame(server.userAgents, ['quay-proxy/0.0.0', 'quay-proxy/0.0.0'])
})
