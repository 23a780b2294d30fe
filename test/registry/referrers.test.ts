import t from 'tap'
import type { Test } from 'tap'
import type { Descriptor } from '../../src/oci/descriptor.ts'
import type { Digest, Reference } from '../../src/oci/reference.ts'
import { referrersHandler } from '../../src/registry/referrers.ts'
import { routes } from '../../src/registry/routes.ts'
import { bareApp, bearer, digest, routesOptions } from './fakes.ts'
import { until } from '../support/until.ts'

const entry = (index: number): Descriptor => ({
  mediaType: 'application/vnd.oci.image.manifest.v1+json',
  digest: `sha256:${String(index).padStart(64, '0')}` as Digest,
  size: 100 + index,
  artifactType: 'application/spdx+json',
  annotations: { index: String(index) },
})

interface Setting {
  readonly manifests?: readonly Descriptor[]
  readonly isFiltered?: boolean
  readonly mayList?: (reference: Reference) => Promise<boolean>
}

const serve = async (
  test: Test,
  { manifests = [], isFiltered = false, mayList = async () => true }: Setting = {},
) => {
  const asked: unknown[] = []
  const app = bareApp(test)
  await app.register(
    routes,
    routesOptions({
      fetchReferrers: async ({ digest: of, artifactType, requester, signal }) => {
        asked.push([of, artifactType, requester, signal?.aborted])
        return { manifests, isFiltered }
      },
      policy: {
        ...routesOptions().policy,
        mayList: async (_identity, reference) => await mayList(reference),
      },
    }),
  )
  const ask = async (query = '', repository = 'ocp/4.5') =>
    await app.inject({ url: `/v2/${repository}/referrers/${digest}${query}`, headers: bearer })
  return { ask, asked }
}

await t.test('trap 20: one index of the exact media type, rebuilt from the parsed entries', async (test) => {
  const manifests = [entry(1), entry(2)]
  const { ask, asked } = await serve(test, { manifests, isFiltered: true })
  const { statusCode, headers, payload } = await ask('?artifactType=application/spdx%2Bjson&ns=a')
  test.equal(statusCode, 200)
  test.strictSame(JSON.parse(payload), {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    manifests,
  })
  test.equal(headers['content-type'], 'application/vnd.oci.image.index.v1+json')
  test.equal(headers['content-length'], String(Buffer.byteLength(payload)))
  test.equal(headers['oci-filters-applied'], 'artifactType')
  test.strictSame(asked, [[digest, 'application/spdx+json', 'alice', false]])
})

await t.test(
  'trap 31: no referrers are an empty index; OCI-Filters-Applied only for a requested and applied filter',
  async (test) => {
    for (const [query, isFiltered, header] of [
      ['', true, undefined],
      ['', false, undefined],
      ['?artifactType=a/b', false, undefined],
      ['?artifactType=a/b', true, 'artifactType'],
    ] as const) {
      const { headers, payload } = await (await serve(test, { isFiltered })).ask(query)
      test.equal(headers['oci-filters-applied'], header)
      test.match(JSON.parse(payload), { manifests: [] })
    }
  },
)

await t.test(
  'each entry is decided by its own digest, within the repository of the request',
  async (test) => {
    const manifests = Array.from({ length: 50 }, (_, index) => entry(index))
    const references: Reference[] = []
    const { ask } = await serve(test, {
      manifests,
      mayList: async (reference) => {
        references.push(reference)
        return reference.kind === 'digest' && Number(reference.digest.slice(-1)) % 3 === 0
      },
    })
    for (const repository of ['ocp/4.5', 'openshift/ci']) {
      references.length = 0
      const { payload } = await ask('', repository)
      const { manifests: listed } = JSON.parse(payload) as { manifests: Descriptor[] }
      test.strictSame(
        listed,
        manifests.filter(({ digest: of }) => Number(of.slice(-1)) % 3 === 0),
      )
      test.equal(references.length, manifests.length, 'one decision each')
      for (const reference of references)
        test.match(reference, { kind: 'digest', repository: { path: repository } })
    }
  },
)

await t.test('few concurrent decisions, and none after a disconnect', async (test) => {
  let [now, most, begun] = [0, 0, 0]
  const gate = Promise.withResolvers<void>()
  const { ask } = await serve(test, {
    manifests: Array.from({ length: 100 }, (_, index) => entry(index)),
    mayList: async () => {
      begun += 1
      most = Math.max(most, ++now)
      await gate.promise
      now -= 1
      return true
    },
  })
  const answer = ask()
  await until(() => begun === 8)
  gate.resolve()
  test.equal((JSON.parse((await answer).payload) as { manifests: unknown[] }).manifests.length, 100)
  test.strictSame([most, begun], [8, 100])
})

await t.test('a failed review is a 503, and no more decisions are begun', async (test) => {
  let begun = 0
  const { ask } = await serve(test, {
    manifests: Array.from({ length: 100 }, (_, index) => entry(index)),
    mayList: async () => {
      begun += 1
      await new Promise((resolve) => setImmediate(resolve))
      throw new Error('away')
    },
  })
  test.equal((await ask()).statusCode, 500)
  test.equal(begun, 8)
})

await t.test(
  'requesters with the same view share the bytes; the number of views is limited',
  async (test) => {
    const manifests = Array.from({ length: 20 }, (_, index) => entry(index))
    const sent: Buffer[] = []
    let hidden = -1
    const app = bareApp(test)
    app.addHook('onSend', async (_request, _reply, payload) => void sent.push(payload as Buffer))
    await app.register(
      routes,
      routesOptions({
        fetchReferrers: async () => ({ manifests, isFiltered: false }),
        policy: {
          ...routesOptions().policy,
          mayList: async (_identity, reference) =>
            reference.kind === 'digest' && reference.digest !== manifests[hidden]?.digest,
        },
      }),
    )
    const ask = async () => await app.inject({ url: `/v2/ocp/4.5/referrers/${digest}`, headers: bearer })
    await ask()
    await ask()
    test.equal(sent[0], sent[1])
    for (hidden = 0; hidden < 10; hidden++) {
      const { payload } = await ask()
      test.equal((JSON.parse(payload) as { manifests: unknown[] }).manifests.length, 19)
    }
    hidden = -1
    await ask()
    test.equal(sent.at(-1), sent[0])
  },
)

await t.test('decisions stop when the client disconnects', async (test) => {
  const app = bareApp(test)
  const left = Promise.withResolvers<void>()
  let begun = 0
  await app.register(
    routes,
    routesOptions({
      fetchReferrers: async () => ({
        manifests: Array.from({ length: 100 }, (_, index) => entry(index)),
        isFiltered: false,
      }),
      policy: {
        ...routesOptions().policy,
        mayList: async () => {
          begun += 1
          await left.promise
          return true
        },
      },
    }),
  )
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  const closed = new Promise<void>((resolve) =>
    app.server.once('connection', (socket) => socket.once('close', () => resolve())),
  )
  const controller = new AbortController()
  const asked = fetch(`${url}/v2/ocp/4.5/referrers/${digest}`, {
    headers: bearer,
    signal: controller.signal,
  }).catch(() => undefined)
  await until(() => begun === 8)
  controller.abort()
  await Promise.all([asked, closed])
  left.resolve()
  await new Promise((resolve) => setImmediate(resolve))
  test.equal(begun, 8)
})

await t.test('a filter that is no media type is refused', async (test) => {
  const { ask, asked } = await serve(test)
  for (const query of ['?artifactType=a', '?artifactType=', '?artifactType=a/b&artifactType=c/d'])
    test.equal((await ask(query)).statusCode, 400, query)
  test.strictSame(asked, [])
})

await t.test('referrers by tag are a bug', async (test) => {
  const app = bareApp(test)
  const hook = async (request: { reference: unknown }) => void (request.reference = { kind: 'tag' })
  app.get('/', { onRequest: hook }, referrersHandler(routesOptions()))
  test.equal((await app.inject('/')).statusCode, 500)
})
