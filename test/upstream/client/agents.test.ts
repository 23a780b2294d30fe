import { rootCertificates } from 'node:tls'
import t from 'tap'
import { createAgents } from '../../../src/upstream/client/agents.ts'
import { always, lookupOf, serverFor } from '../upstream.ts'

const timeouts = { connect: 1000, head: 1000, body: 1000 }
const get = { method: 'GET', path: '/' } as const

await t.test('upstream has agents of its own, other origins share one', async (test) => {
  const agents = createAgents({ origin: new URL('https://quay.io'), maxConnections: 1, timeouts })
  test.equal(agents.of(new URL('https://quay.io/v2/'), false), agents.of(new URL('https://quay.io/x'), false))
  test.not(agents.of(new URL('https://quay.io/'), false), agents.of(new URL('https://cdn.quay.io/'), false))
  test.not(
    agents.of(new URL('https://quay.io/'), false),
    agents.of(new URL('https://quay.io:8443/'), false),
    'by origin',
  )
  const blobs = agents.of(new URL('https://quay.io/'), true)
  test.not(blobs, agents.of(new URL('https://quay.io/'), false), 'slow blobs keep nobody from manifests')
  test.equal(blobs, agents.of(new URL('https://quay.io/x'), true))
  await agents.close()
})

await t.test(
  'attack: another origin may not be on a private address, unless upstream is on one itself',
  async (test) => {
    const server = await serverFor(test, always(200))
    const lookup = lookupOf({ 'upstream.test': ['127.0.0.1'], 'elsewhere.test': ['127.0.0.1'] })
    const origin = new URL(`http://upstream.test:${server.port}`)
    const agents = createAgents({ origin, maxConnections: 1, timeouts, lookup })
    test.teardown(agents.close)
    const elsewhere = new URL(`http://elsewhere.test:${server.port}`)
    const send = async (url: URL) => {
      const { statusCode, body } = await agents.of(url, false).request({ ...get, origin: url.origin })
      await body.dump()
      return statusCode
    }
    await test.rejects(send(elsewhere), { code: 'UNAVAILABLE' })
    test.equal(server.requests.length, 0)
    test.notOk(agents.isUpstreamPrivate())
    test.equal(await send(origin), 200)
    test.ok(agents.isUpstreamPrivate())
    test.equal(await send(elsewhere), 200)
  },
)

await t.test('other clients resolve names by the same rules', async (test) => {
  const lookup = lookupOf({ 'upstream.test': ['192.0.2.1'], 'elsewhere.test': ['127.0.0.1'] })
  const origin = new URL('https://upstream.test')
  const agents = createAgents({ origin, maxConnections: 1, timeouts, lookup })
  test.teardown(agents.close)
  const resolve = async (url: string) =>
    await new Promise<unknown>((resolved) => {
      agents.lookupOf(new URL(url))(new URL(url).hostname, { all: true }, (error, addresses) =>
        resolved(error ?? addresses),
      )
    })
  test.match(await resolve('https://elsewhere.test/a'), { code: 'UNAVAILABLE' })
  test.strictSame(await resolve('https://upstream.test/a'), [{ address: '192.0.2.1', family: 4 }])
})

await t.test('an upstream with a certificate authority of its own', async (test) => {
  const [ca = ''] = rootCertificates
  const origin = new URL('https://127.0.0.1:1')
  const agents = createAgents({ origin, maxConnections: 1, timeouts, ca })
  test.teardown(agents.close)
  const asked = agents.of(origin, false).request({ ...get, origin: origin.origin })
  await test.rejects(asked, { code: 'ECONNREFUSED' })
})
