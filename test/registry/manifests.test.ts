import t from 'tap'
import type { Test } from 'tap'
import { RegistryError, unavailable } from '../../src/oci/errors.ts'
import type { ManifestsOptions } from '../../src/registry/manifests.ts'
import { routes } from '../../src/registry/routes.ts'
import { bareApp, bearer, digest, routesOptions } from './fakes.ts'

type Fetched = Parameters<ManifestsOptions['fetchManifest']>[0]

const mediaType = 'application/vnd.oci.image.index.v1+json'

const serve = async (test: Test, content: string) => {
  const fetched: Fetched[] = []
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
    }),
  )
  const ask = async (path: string, method: 'GET' | 'HEAD' = 'GET', headers = {}) =>
    await app.inject({ method, url: `/v2/${path}`, headers: { ...bearer, ...headers } })
  return { ask, fetched }
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

await t.test('a stale tag carries a warning', async (test) => {
  const { ask } = await serve(test, '{}')
  for (const method of ['GET', 'HEAD'] as const)
    test.equal((await ask('ocp/4.5/manifests/stale', method)).headers['warning'], '110 - "Response is Stale"')
  test.equal((await ask('ocp/4.5/manifests/base')).headers['warning'], undefined)
})

await t.test('content without descriptors is passed on unchanged', async (test) => {
  for (const content of ['not JSON', 'null', '7', '{"layers":{}}']) {
    const { ask } = await serve(test, content)
    test.equal((await ask('ocp/4.5/manifests/base')).payload, content)
  }
})

await t.test('If-None-Match with the current digest: 304 without a body', async (test) => {
  const { ask } = await serve(test, '{"a":1}')
  const other = `sha256:${'b'.repeat(64)}`
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

await t.test('304 needs authentication and authorization too', async (test) => {
  const { ask } = await serve(test, '{}')
  const conditions = { 'if-none-match': '*', authorization: '' }
  test.equal((await ask('ocp/4.5/manifests/base', 'GET', conditions)).statusCode, 401)
})

await t.test('a tag without an image stream is decided by its digest', async (test) => {
  const decided: string[] = []
  const { policy } = routesOptions()
  for (const isAllowed of [true, false]) {
    const app = bareApp(test)
    await app.register(
      routes,
      routesOptions({
        fetchManifest: async () => ({
          digest,
          mediaType,
          size: 2,
          content: Buffer.from('{}'),
          isStale: false,
        }),
        policy: {
          ...policy,
          decide: async (identity, reference) => {
            decided.push(reference.kind)
            const decision = await policy.decide(identity, reference)
            return reference.kind === 'digest' ? { ...decision, allowed: isAllowed } : decision
          },
        },
      }),
    )
    const { statusCode } = await app.inject({ url: '/v2/openshift/ci/manifests/latest', headers: bearer })
    test.equal(statusCode, isAllowed ? 200 : 403)
    const attached = `sha256-${digest.slice(7)}.att`
    for (const path of ['openshift/ci', 'ocp/4.5']) {
      const answer = await app.inject({ url: `/v2/${path}/manifests/${attached}`, headers: bearer })
      test.equal(
        answer.statusCode,
        isAllowed ? 200 : 404,
        'attack: an attestation that is a restricted image',
      )
      test.match(answer.payload, isAllowed ? '{}' : 'MANIFEST_UNKNOWN')
    }
  }
  test.strictSame(decided, Array.from({ length: 6 }, () => ['tag', 'digest']).flat())
})

await t.test(
  'a missing tag: advice for GET, a near tag that is visible, nothing for HEAD and digests',
  async (test) => {
    const app = bareApp(test)
    let listed = 0
    await app.register(
      routes,
      routesOptions({
        fetchTags: async () => {
          listed += 1
          return { tags: ['ocp_4.5_base'], more: false }
        },
        fetchManifest: async ({ reference }) => {
          if (reference === 'ocp_4.5_broken') throw unavailable('upstream is unavailable')
          throw new RegistryError('MANIFEST_UNKNOWN', `${reference} is not in QCI`)
        },
      }),
    )
    const messageFor = async (path: string, method: 'GET' | 'HEAD' = 'GET') =>
      (await app.inject({ method, url: `/v2/${path}`, headers: bearer })).payload
    test.match(
      await messageFor('ocp/4.5/manifests/bsae'),
      'ocp_4.5_bsae is not in QCI; did you mean base? pull proxy.example/ocp/4.5:base',
    )
    test.match(await messageFor('ocp/4.5/manifests/latest'), 'if no tag is given: name a tag')
    test.equal(listed, 1, 'advice without a search costs upstream nothing')
    test.match(await messageFor('ocp/4.5/manifests/something'), '"ocp_4.5_something is not in QCI"')
    test.equal(listed, 2)
    for (const path of [`ocp/4.5/manifests/${digest}`, 'ocp/4.5/manifests/broken'])
      test.notMatch(await messageFor(path), 'did you mean')
    await messageFor('ocp/4.5/manifests/bsae', 'HEAD')
    test.equal(listed, 2)
  },
)
