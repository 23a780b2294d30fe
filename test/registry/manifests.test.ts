import t from 'tap'
import type { Test } from 'tap'
import type { ImageStream } from '../../src/reference.ts'
import type { ManifestsOptions } from '../../src/registry/manifests.ts'
import { routes } from '../../src/registry/routes.ts'
import { bareApp, bearer, digest, routesOptions } from './fakes.ts'

type Fetched = Parameters<ManifestsOptions['fetchManifest']>[0]

const mediaType = 'application/vnd.oci.image.index.v1+json'
const of = (letter: string) => `sha256:${letter.repeat(64)}`

const serve = async (test: Test, content: string, seen: readonly ImageStream[] = []) => {
  const fetched: Fetched[] = []
  const learnt = new Map<string, readonly ImageStream[]>()
  const app = bareApp(test)
  await app.register(
    routes,
    routesOptions({
      fetchManifest: async (request) => {
        fetched.push(request)
        const body = Buffer.from(content)
        return {
          digest,
          mediaType,
          size: body.length,
          content: request.method === 'GET' ? body : undefined,
          isStale: request.reference === 'ocp_4.5_stale',
        }
      },
      digests: { learn: (one, places) => void learnt.set(one, places), seenIn: () => seen },
    }),
  )
  const ask = async (path: string, method: 'GET' | 'HEAD' = 'GET', headers = {}) =>
    await app.inject({ method, url: `/v2/${path}`, headers: { ...bearer, ...headers } })
  return { ask, fetched, learnt }
}

await t.test('traps 20 and 21: GET and HEAD with the exact type, length and digest', async (test) => {
  const { ask, fetched } = await serve(test, '{"a":1}')
  for (const method of ['GET', 'HEAD'] as const) {
    const { statusCode, headers, payload } = await ask('ocp/4.5/manifests/base', method)
    test.equal(statusCode, 200)
    test.match(headers, {
      'content-type': mediaType,
      'content-length': '7',
      'docker-content-digest': digest,
      etag: `"${digest}"`,
    })
    test.equal(headers['content-type'], mediaType)
    test.equal(payload, method === 'GET' ? '{"a":1}' : '')
  }
  test.match(fetched, [
    { method: 'GET', reference: 'ocp_4.5_base', accept: undefined },
    { method: 'HEAD', reference: 'ocp_4.5_base' },
  ])
})

await t.test('traps 22 and 24: Accept is passed on, queries are not', async (test) => {
  const { ask, fetched } = await serve(test, '{}')
  await ask(`openshift/ci/manifests/${digest}?ns=quay.io`, 'GET', { accept: 'a/b, c/d' })
  test.match(fetched, [{ reference: digest, accept: 'a/b, c/d' }])
  test.ok(fetched[0]?.signal instanceof AbortSignal)
})

await t.test('what a manifest names was seen where the manifest was', async (test) => {
  const content = JSON.stringify({
    config: { digest: of('b') },
    manifests: [{ digest: of('c') }, { digest: 'nonsense' }, {}, null, 7],
    layers: [{ digest: of('d') }, { digest: 8 }],
    fsLayers: [{ blobSum: of('e') }, null],
  })
  const { ask, learnt } = await serve(test, content)
  await ask('ocp/4.5/manifests/base')
  const place = [{ namespace: 'ocp', name: '4.5' }]
  test.strictSame(Object.fromEntries(learnt), {
    [digest]: place,
    [of('b')]: place,
    [of('c')]: place,
    [of('d')]: place,
    [of('e')]: place,
  })
})

await t.test('by digest, and by a tag made of one, the places are those it was seen in', async (test) => {
  const seen = [{ namespace: 'ocp-priv', name: '4.5' }]
  for (const reference of [digest, `20231029_sha256_${'f'.repeat(64)}`]) {
    const { ask, learnt } = await serve(test, '{}', seen)
    await ask(`openshift/ci/manifests/${reference}`)
    test.strictSame([...learnt], [[digest, seen]])
  }
  const { ask, learnt } = await serve(test, '{}', seen)
  await ask('openshift/ci/manifests/latest')
  test.strictSame([...learnt], [[digest, []]], 'a tag of nobody is seen nowhere')
})

await t.test('a tag of which upstream could not say whether it has moved: a warning', async (test) => {
  const { ask } = await serve(test, '{}')
  for (const method of ['GET', 'HEAD'] as const)
    test.equal((await ask('ocp/4.5/manifests/stale', method)).headers['warning'], '110 - "Response is Stale"')
  test.equal((await ask('ocp/4.5/manifests/base')).headers['warning'], undefined)
})

await t.test('content that names nothing is passed on as it is', async (test) => {
  for (const content of ['not JSON', 'null', '7', '{"layers":{}}']) {
    const { ask, learnt } = await serve(test, content)
    test.equal((await ask('ocp/4.5/manifests/base')).payload, content)
    test.equal(learnt.size, 1)
  }
})

await t.test(
  'the same bytes from memory are parsed once, and learnt from each time they are served',
  async (test) => {
    const content = Buffer.from(JSON.stringify({ layers: [{ digest: of('d') }] }))
    let reads = 0
    const toString = content.toString.bind(content)
    content.toString = (...args) => {
      reads += 1
      return toString(...args)
    }
    const learnt: (readonly [string, string | undefined])[] = []
    const app = bareApp(test)
    await app.register(
      routes,
      routesOptions({
        fetchManifest: async () => ({ digest, mediaType, size: content.length, content, isStale: false }),
        digests: { learn: (one, [place]) => void learnt.push([one, place?.namespace]), seenIn: () => [] },
      }),
    )
    for (const path of ['ocp/4.5', 'my-team/app'])
      await app.inject({ url: `/v2/${path}/manifests/base`, headers: bearer })
    test.equal(reads, 1)
    const both = (namespace: string) => [digest, of('d')].map((one) => [one, namespace])
    test.strictSame(learnt, [...both('ocp'), ...both('my-team')])
  },
)

await t.test('who has it already is told so, and is sent nothing', async (test) => {
  const { ask } = await serve(test, '{"a":1}')
  const other = of('b')
  for (const method of ['GET', 'HEAD'] as const) {
    for (const held of [`"${digest}"`, `W/"${digest}"`, `"${other}", "${digest}"`, '*']) {
      const { statusCode, headers, payload } = await ask('ocp/4.5/manifests/base', method, {
        'if-none-match': held,
      })
      test.strictSame([statusCode, payload], [304, ''], held)
      test.match(headers, { etag: `"${digest}"`, 'docker-content-digest': digest })
      test.notHas(headers, { 'content-length': /./ })
      test.notHas(headers, { 'content-type': /./ })
    }
    for (const held of [`"${other}"`, digest, '']) {
      const { statusCode, headers } = await ask('ocp/4.5/manifests/base', method, { 'if-none-match': held })
      test.strictSame([statusCode, headers['content-length']], [200, '7'], held)
    }
  }
  const { headers } = await ask('ocp/4.5/manifests/stale', 'GET', { 'if-none-match': '*' })
  test.match(headers.warning, /Stale/)
})

await t.test('who has it already is asked who they are all the same', async (test) => {
  const { ask } = await serve(test, '{}')
  const conditions = { 'if-none-match': '*', authorization: '' }
  test.equal((await ask('ocp/4.5/manifests/base', 'GET', conditions)).statusCode, 401)
})
