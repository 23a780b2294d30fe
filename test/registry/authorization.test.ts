import t from 'tap'
import type { Test } from 'tap'
import type { FastifyRequest } from 'fastify'
import type { Decision } from '../../src/access/policy.ts'
import {
  authorizationHook,
  createAuthorizeDigest,
  repositoryHook,
  type AuthorizationOptions,
} from '../../src/registry/authorization.ts'
import { identityOf, referenceOf } from '../../src/registry/request-context.ts'
import type { QciTag } from '../../src/oci/reference.ts'
import { alice, allowed, bareApp, digest, refused, routesOptions } from './fakes.ts'

const create = (test: Test, more: Partial<AuthorizationOptions> = {}) => {
  const observed: Decision[] = []
  const app = bareApp(test)
  app.addHook('onRequest', async (request) => {
    request.identity = alice
  })
  const hook = authorizationHook({
    ...routesOptions(),
    observe: (decision) => void observed.push(decision),
    ...more,
  })
  const answer = async (request: FastifyRequest) => ({
    reference: referenceOf(request),
    repository: request.repository,
    decision: request.decision,
  })
  app.get('/:namespace/:name/manifests/:reference', { onRequest: hook }, answer)
  const options = {
    ...routesOptions(),
    observe: (decision: Decision) => void observed.push(decision),
    ...more,
  }
  app.get('/:namespace/:name/blobs/:digest', { onRequest: authorizationHook(options, 'blob') }, answer)
  app.get('/:namespace/:name', { onRequest: hook }, answer)
  return { observed, get: async (url: string) => await app.inject(url) }
}

const asking = (decide: (asked: unknown) => Promise<Decision>) => ({
  policy: {
    ...routesOptions().policy,
    decide: async (_identity: unknown, asked: unknown) => await decide(asked),
  },
})

await t.test('the reference is parsed once, decided, and set on the request', async (test) => {
  const asked: unknown[] = []
  const more = asking(async (reference) => {
    asked.push(reference)
    return allowed
  })
  const { get, observed } = create(test, more)
  const { statusCode, payload } = await get('/ocp/4.5/manifests/base')
  test.equal(statusCode, 200)
  test.match(JSON.parse(payload), {
    reference: { kind: 'tag', qciTag: 'ocp_4.5_base' },
    repository: { path: 'ocp/4.5' },
    decision: allowed,
  })
  await get(`/openshift/ci/blobs/${digest}`)
  test.match(asked, [{ qciTag: 'ocp_4.5_base' }, { kind: 'digest', digest, content: 'blob' }])
  test.strictSame(observed, [allowed, allowed])
})

await t.test('a refusal is DENIED, names the image of the request, and is observed', async (test) => {
  const { get, observed } = create(
    test,
    asking(async () => refused),
  )
  const tag = await get('/ocp/4.5/manifests/base')
  test.equal(tag.statusCode, 403)
  test.match(tag.payload, 'alice may not pull from namespace ocp')
  const { namespace, ...nowhere } = refused
  const open = create(
    test,
    asking(async () => nowhere),
  )
  test.match(
    (await open.get(`/openshift/ci/manifests/${digest}`)).payload,
    `may not pull ${digest}: it is not known`,
  )
  test.match(
    (await open.get('/openshift/ci/manifests/latest')).payload,
    'may not pull latest, which belongs to no namespace',
  )
  test.strictSame([observed, namespace], [[refused], 'ocp'])
})

await t.test(
  'the time that upstream took for an unowned tag does not count against the decision',
  async (test) => {
    const app = bareApp(test)
    const review = Promise.withResolvers<Decision>()
    const decide = async () => await review.promise
    const authorizeDigest = createAuthorizeDigest({ policy: { ...routesOptions().policy, decide } })
    app.get('/', async (request) => {
      request.identity = alice
      request.repository = { form: 'monorepo', path: 'openshift/ci' }
      request.reference = {
        kind: 'tag',
        repository: request.repository,
        tag: 'latest',
        qciTag: 'latest' as QciTag,
        owner: { by: 'qci' },
      }
      // Upstream needed a minute.
      request.receivedAt -= 60_000
      const authorized = authorizeDigest(request, digest)
      setImmediate(() => review.resolve(allowed))
      await authorized
      return 'open'
    })
    test.equal((await app.inject('/')).payload, 'open')
  },
)

await t.test('attack: the attestation of an open image is a restricted image', async (test) => {
  const app = bareApp(test)
  const authorizeDigest = createAuthorizeDigest(asking(async () => refused))
  const tag = `sha256-${'a'.repeat(64)}.att` as QciTag
  app.get('/', async (request) => {
    request.identity = alice
    const repository = { form: 'monorepo', path: 'openshift/ci' } as const
    request.reference = { kind: 'tag', repository, tag, qciTag: tag, owner: { by: 'digest', digest } }
    await authorizeDigest(request, digest)
  })
  const { statusCode, payload } = await app.inject('/')
  test.strictSame([statusCode, payload.includes(`${tag} is not in QCI`)], [404, true])
})

await t.test('a refusal names only the namespace of the request', async (test) => {
  const { get } = create(
    test,
    asking(async () => ({ ...refused, namespace: 'ocp-priv' })),
  )
  test.notMatch((await get(`/openshift/ci/manifests/${digest}`)).payload, 'ocp-priv')
  test.match((await get(`/my-team/app/manifests/${digest}`)).payload, 'from namespace my-team')
})

await t.test('trap 33: a malformed reference reaches no decision', async (test) => {
  const { get } = create(
    test,
    asking(async () => {
      throw new Error('asked')
    }),
  )
  const rows = [
    ['/UPPER/x/manifests/a', 'NAME_INVALID'],
    ['/openshift%2Fci/x/manifests/a', 'NAME_INVALID'],
    ['/ocp/..%2F..%2Fci/manifests/a', 'NAME_INVALID'],
    ['/ocp/4.5/manifests/.a', 'TAG_INVALID'],
    ['/ocp/4.5/manifests/sha256:abc', 'DIGEST_INVALID'],
    ['/ocp/4.5/blobs/base', 'DIGEST_INVALID'],
    ['/ocp/4.5', 'DIGEST_INVALID'],
    ['/ocp_4.5/base/manifests/latest', 'NAME_UNKNOWN'],
    ['/ocp_4.5/base', 'NAME_UNKNOWN'],
  ] as const
  for (const [url, code] of rows) {
    const { statusCode, payload } = await get(url)
    test.equal(statusCode, code === 'TAG_INVALID' || code === 'NAME_UNKNOWN' ? 404 : 400, url)
    test.match(payload, `"${code}"`)
  }
})

await t.test('a hook for routes without a reference', async (test) => {
  const app = bareApp(test)
  app.get(
    '/:namespace/:name',
    { onRequest: repositoryHook(routesOptions()) },
    async (request) => request.repository,
  )
  test.match((await app.inject('/openshift/ci')).payload, '"monorepo"')
  test.match((await app.inject('/ocp/4.5')).payload, '"image-stream"')
  test.equal((await app.inject('/_/4.5')).statusCode, 400)
})

await t.test('a wrong order of stages throws, and opens nothing', async (test) => {
  const request = { identity: null, reference: null } as FastifyRequest
  test.throws(() => identityOf(request), { message: /authentication runs before/ })
  test.throws(() => referenceOf(request), { message: /authorization runs before/ })
})

await t.test('decisions from the cache', async (test) => {
  const { policy } = routesOptions()
  const { get, observed } = create(test, { policy: { ...policy, decide: () => allowed } })
  const { statusCode, payload } = await get('/ocp/4.5/manifests/base')
  test.equal(statusCode, 200)
  test.match(JSON.parse(payload), { decision: allowed })
  test.strictSame(observed, [allowed])
})

await t.test('decisions that wait for reviews', async (test) => {
  const { policy } = routesOptions()
  const { get, observed } = create(test, {
    policy: { ...policy, decide: async () => refused },
  })
  test.equal((await get('/ocp/4.5/manifests/base')).statusCode, 403)
  test.strictSame(observed, [refused])
})

const hex = 'b'.repeat(64)
const attached = [`sha256-${hex}`, `sha256-${hex}.sig`, `sha256-${hex}.att`, `sha256-${hex}.sbom`]

await t.test('trap 28: attachments of images that the requester may not see are absent', async (test) => {
  const lists: unknown[] = []
  const withRights = (namespaces: readonly string[]) => ({
    policy: {
      ...routesOptions().policy,
      decide: async () => refused,
      decideImageStream: async (_identity: unknown, imageStream: { namespace: string } | undefined) => {
        lists.push(imageStream)
        return namespaces.includes(imageStream?.namespace ?? '') ? allowed : refused
      },
    },
  })
  const { get } = create(test, withRights(['ocp']))
  for (const tag of attached) {
    const absent = await get(`/ocp/4.5/manifests/${tag}`)
    test.equal(absent.statusCode, 404, tag)
    test.match(absent.payload, `"MANIFEST_UNKNOWN","message":"${tag} is not in QCI: it was not promoted`)
    const denied = await get(`/other/4.5/manifests/${tag}`)
    test.equal(denied.statusCode, 403, tag)
    test.match(denied.payload, 'alice may not pull from namespace other of QCI')
    test.equal(
      (await get(`/openshift/ci/manifests/${tag}`)).statusCode,
      403,
      'the monorepo is no image stream',
    )
  }
  test.strictSame(lists[0], { namespace: 'ocp', name: '4.5' })
  test.equal(lists.length, 2 * attached.length)
  for (const path of [
    'ocp/4.5/manifests/base',
    `ocp/4.5/manifests/sha256:${hex}`,
    `ocp/4.5/blobs/sha256:${hex}`,
  ])
    test.equal((await get(`/${path}`)).statusCode, 403, 'and nothing else')
  test.equal(lists.length, 2 * attached.length + 2, 'a digest: how to get access depends on it')
})

await t.test('a refusal names the namespace of the request, for every family of tags', async (test) => {
  const { get } = create(
    test,
    asking(async () => refused),
  )
  const stamp = '20240101120000'
  const rows = [
    ['art__my-team_app_x', 'alice may not pull from namespace my-team of QCI; ask'],
    [`${stamp}_prune___ci_images_mirror__my-team_app_x`, 'from namespace my-team of QCI; ask'],
    [
      `${stamp}_prune_art__ocp-priv_app_x`,
      'from namespace ocp-priv of QCI, which is restricted; ask for the role',
    ],
    ['tomorrow__ocp-priv_x', 'from namespace ocp-priv of QCI, which is restricted'],
    ['my-team_app_x__ocp-priv_y', 'from namespace ocp-priv of QCI, which is restricted'],
    ['OCP-PRIV_app_x', 'from namespace ocp-priv of QCI, which is restricted'],
    ['rc_payload__4.20.0', 'may not pull rc_payload__4.20.0, which belongs to no namespace; ask'],
    ['preserved__x', 'may not pull preserved__x, which belongs to no namespace'],
    ['art__0123456789abcdef', 'may not pull art__0123456789abcdef, which belongs to no namespace'],
  ] as const
  for (const [tag, message] of rows) {
    const { statusCode, payload } = await get(`/openshift/ci/manifests/${tag}`)
    test.equal(statusCode, 403, tag)
    test.match(payload, message, tag)
  }
})

await t.test('an unknown digest before the index is complete: 503, and retry', async (test) => {
  const premature: Decision = { ...refused, isPremature: true }
  const { get } = create(
    test,
    asking(async () => premature),
  )
  const { statusCode, headers, payload } = await get('/ocp/4.5/manifests/base')
  test.equal(statusCode, 503)
  test.ok(headers['retry-after'])
  test.match(payload, 'not known yet')
})

await t.test('a tag without an image stream is decided by its digest', async (test) => {
  const rows = [
    [{ known: () => allowed }, 200],
    [{ known: () => undefined, decide: async () => allowed }, 200],
    [{ known: () => undefined, decide: async () => refused }, 403],
    [{ known: () => undefined, decide: async () => ({ ...refused, isPremature: true }) as const }, 503],
  ] as const
  for (const [decisions, status] of rows) {
    const policy = { ...routesOptions().policy, ...decisions }
    const app = bareApp(test)
    app.addHook('onRequest', async (request) => {
      request.identity = alice
      request.receivedAt = performance.now()
    })
    const onRequest = authorizationHook({ ...routesOptions(), observe: () => undefined })
    app.get('/:namespace/:name/manifests/:reference', { onRequest }, async (request) => {
      await createAuthorizeDigest({ policy })(request, digest)
      return 'served'
    })
    const { statusCode, payload } = await app.inject('/openshift/ci/manifests/latest')
    test.equal(statusCode, status)
    if (status === 403) test.match(payload, 'alice may not pull latest')
  }
})
