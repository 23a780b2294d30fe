import t from 'tap'
import type { Decision } from '../../src/access/policy.ts'
import { RegistryError, unavailable } from '../../src/oci/errors.ts'
import type { Reference } from '../../src/oci/reference.ts'
import { allowed, digest, refused, routesOptions } from '../registry/fakes.ts'
import { explaining } from './fakes.ts'

const { policy } = routesOptions()
const manifest = {
  digest,
  mediaType: 'application/vnd.oci.image.manifest.v1+json',
  size: 1,
  content: undefined,
  isStale: false,
}
const deciding = (decide: (reference: Reference) => Decision) => ({
  policy: { ...policy, decide: async (_identity: unknown, reference: Reference) => decide(reference) },
})

await t.test('the decision of a pull, and upstream for an image that may be pulled', async (test) => {
  const { explain } = await explaining(test, { fetchManifest: async () => manifest })
  const { status, explanation } = await explain('ocp/4.5:base')
  test.equal(status, 200)
  test.match(explanation, {
    image: 'ocp/4.5:base',
    pullSpec: 'proxy.example/ocp/4.5:base',
    identity: { username: 'alice', kind: 'user' },
    access: 'allowed',
    rule: 'qci-wide',
    inQci: 'yes',
    digest,
    next: 'podman pull proxy.example/ocp/4.5:base',
  })
})

await t.test('attack: whether an image exists, for somebody who may not pull it', async (test) => {
  let requests = 0
  const { explain } = await explaining(test, {
    ...deciding(() => refused),
    fetchManifest: async () => {
      requests += 1
      return manifest
    },
  })
  const { explanation } = await explain('ocp/4.5:base')
  test.match(explanation, { access: 'denied', reason: /^alice may not pull from namespace ocp of QCI; / })
  test.equal(explanation.inQci, undefined)
  test.equal(requests, 0, 'upstream gets no request')
})

await t.test('a tag without an owner is decided by its digest as well', async (test) => {
  const byDigest = deciding((reference) => (reference.kind === 'digest' ? refused : allowed))
  const denied = await explaining(test, { ...byDigest, fetchManifest: async () => manifest })
  test.match((await denied.explain('openshift/ci:latest')).explanation, {
    access: 'denied',
    next: 'pull the image by the tag of its namespace',
  })
  test.match(
    (await denied.explain(`openshift/ci:sha256-${'a'.repeat(64)}.att`)).explanation,
    { access: 'allowed', inQci: 'no', next: /^go on without it/ },
    'attack: an attestation that is a restricted image',
  )
  const open = await explaining(test, { fetchManifest: async () => manifest })
  test.match((await open.explain('openshift/ci:latest')).explanation, { access: 'allowed', inQci: 'yes' })
  const failing = await explaining(test, {
    fetchManifest: async () => {
      throw unavailable('the upstream registry is failing')
    },
  })
  test.match((await failing.explain('openshift/ci:latest')).explanation, {
    access: 'unknown',
    inQci: 'unknown',
  })
  const absent = await explaining(test)
  test.match((await absent.explain('openshift/ci:latest')).explanation, { access: 'allowed', inQci: 'no' })
})

await t.test('errors that are no answer are those of a pull', async (test) => {
  const failing = (error: Error) => ({
    policy: {
      ...policy,
      decide: async () => {
        throw error
      },
    },
  })
  const unknown = await explaining(test, failing(unavailable('the API server does not answer')))
  test.equal((await unknown.explain('ocp/4.5:base')).status, 503)
  const limited = await explaining(test, failing(new RegistryError('TOOMANYREQUESTS', 'too many')))
  test.equal((await limited.explain('ocp/4.5:base')).status, 429)
  const premature = await explaining(
    test,
    deciding(() => ({ ...refused, isPremature: true })),
  )
  test.equal((await premature.explain(`ocp/4.5@${digest}`)).status, 503)
  const unauthenticated = await premature.get('/access?image=a/b:c')
  test.equal(unauthenticated.status, 401)
  test.match(unauthenticated.headers.get('www-authenticate'), /^Bearer realm=/)
})

await t.test('with a mirror: what it says, and whether to wait for it', async (test) => {
  const waiting = { state: 'waiting', explanation: 'It waits for its turn.' }
  const missing = async () => {
    throw new RegistryError('MANIFEST_UNKNOWN', 'not in QCI')
  }
  const seen: boolean[] = []
  const describeImage = async (_request: unknown, _reference: unknown, mayPull: boolean) => {
    seen.push(mayPull)
    return waiting
  }
  const absent = await explaining(test, { fetchManifest: missing, describeImage })
  test.match((await absent.explain('ocp/4.5:base')).explanation, {
    inQci: 'no',
    mirror: waiting,
    next: 'wait: the mirror brings the image; try again in a minute',
  })
  const present = await explaining(test, { fetchManifest: async () => manifest, describeImage })
  test.match((await present.explain('ocp/4.5:base')).explanation, { mirror: waiting, next: /^podman pull / })
  const denied = await explaining(test, { ...deciding(() => refused), describeImage })
  test.match((await denied.explain('ocp/4.5:base')).explanation, { access: 'denied', mirror: waiting })
  test.strictSame(seen, [true, true, false])
  const dead = await explaining(test, {
    fetchManifest: missing,
    describeImage: async () => ({ ...waiting, state: 'dead' }),
  })
  test.notMatch((await dead.explain('ocp/4.5:base')).explanation.next, /wait/)
  const unlisted = await explaining(test, { fetchManifest: missing, describeImage: async () => undefined })
  test.notOk('mirror' in (await unlisted.explain('ocp/4.5:base')).explanation)
})
