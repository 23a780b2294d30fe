import type { Test } from 'tap'
import t from 'tap'
import { imageStreamsPath, promotedBy } from '../../../src/sandbox/app-ci/image-streams.ts'
import { hex, startApi } from '../../kubernetes/watching.ts'
import { until } from '../../support/until.ts'

const start = async (test: Test) => {
  const { api, imageStreams } = await startApi(test)
  const token = /token: (\S+)/.exec(api.kubeconfig())![1]!
  const ask = async (query: string, { authorization = `Bearer ${token}`, method = 'GET' } = {}) =>
    await fetch(`${api.url}${imageStreamsPath}${query}`, { method, headers: { authorization } })
  const watch = async (from: number) => {
    const response = await ask(`?watch=true&resourceVersion=${from}`)
    const lines: { type: string; object: { metadata: { name?: string }; code?: number } }[] = []
    const read = async () => {
      let rest = ''
      const decoder = new TextDecoder()
      for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
        const parts = `${rest}${decoder.decode(chunk, { stream: true })}`.split('\n')
        rest = parts.pop() ?? ''
        lines.push(...parts.map((line) => JSON.parse(line) as never))
      }
    }
    const closed = read().catch(() => undefined)
    return { response, lines, closed }
  }
  const put = (name: string) => imageStreams.put({ namespace: 'ocp', name, tags: { latest: [hex('a')] } })
  return { api, imageStreams, ask, watch, put }
}

await t.test('lists in pages, of one moment', async (test) => {
  const { ask, put, imageStreams } = await start(test)
  for (const name of ['a', 'b', 'c']) put(name)
  const all = (await (await ask('')).json()) as { items: { status: unknown }[]; metadata: object }
  test.equal(all.items.length, 3)
  test.equal(imageStreams.count, 3)
  test.strictSame(all.metadata, { resourceVersion: '1003' })
  test.match(all.items[0]?.status, { tags: [{ tag: 'latest', items: [{ image: hex('a') }] }] })
  const first = (await (await ask('?limit=2')).json()) as {
    items: object[]
    metadata: { continue: string }
  }
  test.equal(first.items.length, 2)
  const next = `?limit=2&continue=${encodeURIComponent(first.metadata.continue)}`
  test.match(await (await ask(next)).json(), { items: [{ metadata: { name: 'c' } }] })
  put('d')
  test.equal((await ask(next)).status, 410)
  test.strictSame(imageStreams.requests, { pages: 4, watches: 0 })
})

await t.test('lists of one namespace, and of one name', async (test) => {
  const { api, ask, put, imageStreams } = await start(test)
  for (const name of ['a', 'b']) put(name)
  imageStreams.put({ namespace: 'origin', name: 'a', tags: {} })
  const named = (await (await ask('?fieldSelector=metadata.name%3Da')).json()) as { items: object[] }
  test.equal(named.items.length, 2)
  const authorization = `Bearer ${/token: (\S+)/.exec(api.kubeconfig())![1]!}`
  const path = '/apis/image.openshift.io/v1/namespaces/origin/imagestreams'
  const response = await fetch(`${api.url}${path}`, { headers: { authorization } })
  test.match(await response.json(), { items: [{ metadata: { namespace: 'origin', name: 'a' } }] })
})

await t.test('a tag by reference: no image, as promotion leaves it', async (test) => {
  const { ask, imageStreams } = await start(test)
  const reference = `quay-proxy.ci.openshift.org/openshift/ci@${hex('b')}`
  imageStreams.put({
    namespace: 'ocp-priv',
    name: '4.20',
    tags: { imported: [hex('a')], promoted: [promotedBy(hex('b')), hex('c')], none: [] },
  })
  const { items } = (await (await ask('')).json()) as { items: { spec: object; status: object }[] }
  test.strictSame(items[0]?.spec, {
    tags: [
      {
        name: 'promoted',
        from: { kind: 'DockerImage', name: reference },
        reference: true,
        referencePolicy: { type: 'Source' },
      },
    ],
  })
  test.match(items[0]?.status, {
    tags: [
      { tag: 'imported', items: [{ image: hex('a') }] },
      { tag: 'promoted', items: [{ image: /^$/, dockerImageReference: reference }, { image: hex('c') }] },
      { tag: 'none', items: [] },
    ],
  })
})

await t.test('watches from a version on', async (test) => {
  const { watch, put, imageStreams } = await start(test)
  put('a')
  put('b')
  const { lines, closed } = await watch(1001)
  await until(() => lines.length === 1)
  put('b')
  imageStreams.delete('ocp', 'a')
  imageStreams.delete('ocp', 'a')
  imageStreams.bookmark()
  await until(() => lines.length === 4)
  test.match(
    lines.map(({ type, object }) => [type, object.metadata.name]),
    [
      ['ADDED', 'b'],
      ['MODIFIED', 'b'],
      ['DELETED', 'a'],
      ['BOOKMARK', undefined],
    ],
  )
  imageStreams.cut()
  await closed
  test.equal(imageStreams.watching, 0)
})

await t.test('cut in a line, and expired as an event or as a status', async (test) => {
  const { watch, imageStreams } = await start(test)
  const { lines, closed } = await watch(1000)
  await until(() => imageStreams.watching === 1)
  imageStreams.cut('mid-line')
  await closed
  test.strictSame(lines, [])
  imageStreams.expire()
  const late = await watch(1000)
  await late.closed
  test.match(late.lines, [{ type: 'ERROR', object: { code: 410, reason: 'Expired' } }])
  imageStreams.expire('status')
  test.equal((await watch(1000)).response.status, 410)
})

await t.test('RBAC decides, and there is nothing but a list and a watch', async (test) => {
  const { api, ask } = await start(test)
  test.equal((await ask('', { authorization: 'Bearer nonsense' })).status, 401)
  const authorization = `Bearer ${api.issueUserToken({ username: 'alice', groups: ['qci-image-pullers'] })}`
  for (const [query, verb] of [
    ['', 'list'],
    ['?watch=true', 'watch'],
  ] as const) {
    const refused = await ask(query, { authorization })
    test.equal(refused.status, 403)
    test.match(await refused.json(), {
      message: `imagestreams.image.openshift.io is forbidden: User "alice" cannot ${verb} resource "imagestreams"`,
    })
  }
  test.equal((await ask('', { method: 'DELETE' })).status, 404)
})
