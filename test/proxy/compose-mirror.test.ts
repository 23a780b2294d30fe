import { Registry } from 'prom-client'
import t from 'tap'
import { userAgent } from '../../src/config/version.ts'
import { composeMirror, type ComposeMirrorOptions } from '../../src/proxy/compose-mirror.ts'
import { noTracing } from '../../src/tracing/tracing.ts'
import { startFakeMirror } from '../page/mirror-queue/fake-mirror.ts'
import { alice } from '../registry/fakes.ts'
import { recordTraces } from '../support/tracing.ts'

const options = (mirrorUrl?: URL): ComposeMirrorOptions => ({
  config: { mirrorUrl },
  reviews: { reviewPath: async () => ({ allowed: false, source: 'live' as const }) },
  metrics: { registry: new Registry() },
  tracing: noTracing,
})

await t.test('without a URL there is no mirror', async (test) => {
  test.equal(composeMirror(options()), undefined)
})

await t.test('with a URL there is one, whose rights are those of RBAC', async (test) => {
  const composed = composeMirror(options(new URL('http://127.0.0.1:1')))
  await test.rejects(composed!.rights.require(alice, 'get'), { code: 'DENIED' })
  test.strictSame(composed!.state.current(), { name: 'mirror', page: '/mirrors', state: 'unknown' })
  await composed!.mirror.close()
})

await t.test('each request to it has a user agent, a count and a span', async (test) => {
  const fake = await startFakeMirror()
  test.teardown(fake.close)
  const { tracing, within, named } = recordTraces()
  const given = { ...options(fake.url), tracing }
  const { mirror, rights } = composeMirror(given)!
  await within(async () => {
    await rights.require(alice, 'get').catch(() => undefined)
    await mirror.get('alice', '/api/v1/mirrors/ocp/ubi%3A9')
  })
  await mirror.close()
  test.equal(fake.seen[0]?.headers['user-agent'], userAgent)
  test.match(
    await given.metrics.registry.metrics(),
    'quay_proxy_mirror_requests_total{method="GET",outcome="answered"} 1',
  )
  test.equal(named('authorization')?.attributes['error.type'], 'DENIED')
  test.strictSame(named('GET')?.attributes, {
    'http.request.method': 'GET',
    'server.address': '127.0.0.1',
    'quay_proxy.request.kind': 'mirror',
    'http.response.status_code': 200,
  })
})
