import t from 'tap'
import { RegistryError } from '../../src/oci/errors.ts'
import type { ManifestRequest } from '../../src/oci/image-source.ts'
import { digest } from '../registry/fakes.ts'
import { until } from '../support/until.ts'
import { explaining } from './fakes.ts'

const manifest = { digest, mediaType: 'x', size: 1, content: undefined, isStale: false }

await t.test('the request of a pull: HEAD, counted by requester, with an end', async (test) => {
  const seen: ManifestRequest[] = []
  const { explain } = await explaining(test, {
    fetchManifest: async (request) => {
      seen.push(request)
      return manifest
    },
  })
  await explain('ocp/4.5:base')
  await explain(`ocp/4.5@${digest}`)
  test.match(seen, [
    { method: 'HEAD', reference: 'ocp_4.5_base', requester: 'alice' },
    { method: 'HEAD', reference: digest, requester: 'alice' },
  ])
  test.ok(seen.every(({ signal }) => signal instanceof AbortSignal))
})

await t.test('a near tag that the requester may pull', async (test) => {
  const { explain } = await explaining(test, {
    fetchTags: async () => ({ tags: ['ocp_4.5_base'], more: false }),
  })
  test.match((await explain('ocp/4.5:bsae')).explanation, {
    inQci: 'no',
    next: 'did you mean base? pull proxy.example/ocp/4.5:base',
  })
})

await t.test('an unexpected error is one of the proxy', async (test) => {
  const { explain } = await explaining(test, {
    fetchManifest: async () => {
      throw new TypeError('a bug')
    },
  })
  const { status, body } = await explain('ocp/4.5:base')
  test.equal(status, 503)
  test.notMatch(body, 'a bug')
})

await t.test('a client that leaves ends the request', async (test) => {
  const signals: AbortSignal[] = []
  const { port } = await explaining(test, {
    fetchManifest: async ({ signal }) => {
      signals.push(signal!)
      await new Promise((resolve) => signal!.addEventListener('abort', resolve))
      throw new RegistryError('UNAVAILABLE', 'nobody waits')
    },
  })
  const leaving = new AbortController()
  const asked = fetch(`http://127.0.0.1:${port}/access?image=a/b:c`, {
    headers: { authorization: 'Bearer token' },
    signal: leaving.signal,
  })
  await until(() => signals.length === 1)
  leaving.abort()
  await test.rejects(asked)
  await until(() => signals[0]!.aborted)
})

await t.test('upstream fails, or has no such digest', async (test) => {
  const failing = await explaining(test, {
    fetchManifest: async () => {
      throw new RegistryError('UNAVAILABLE', 'the upstream registry is failing')
    },
  })
  test.match((await failing.explain('ocp/4.5:base')).explanation, { inQci: 'unknown' })
  const absent = await explaining(test)
  test.match((await absent.explain(`ocp/4.5@${digest}`)).explanation, { inQci: 'no' })
})
