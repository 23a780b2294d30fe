/**
 * The trace of a pull, as a collector gets it: every hop is a span, under the right parent, and no span holds a secret.
 */
import t, { type Test } from 'tap'
import { Agent, request } from 'undici'
import { userAgent } from '../../src/config/version.ts'
import { startSandbox } from '../../src/sandbox/sandbox.ts'
import { createLogger } from '../../src/telemetry/logging.ts'
import { startOtlpReceiver, treeOf } from '../support/otlp-receiver.ts'
import { accept, manifests as rbac } from './scenario.ts'

const traced = async (test: Test, environment: Readonly<Record<string, string>> = {}) => {
  const receiver = await startOtlpReceiver(test)
  const lines: string[] = []
  const logger = createLogger('info', { write: (line) => void lines.push(line) })
  // The exporter reads the variables of the process by itself.
  const variables = { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, ...environment }
  Object.assign(process.env, variables)
  const flags = ['--grace-period=0s', '--restricted-index=off']
  const sandbox = await startSandbox({ logger, rbac, port: 0, flags, environment: variables }).finally(() => {
    for (const name of Object.keys(variables)) delete process.env[name]
  })
  const token = sandbox.kubernetes.issueUserToken({ username: 'alice', groups: ['qci-image-pullers'] })
  // One connection: its identity is cached, as for the requests of a pull.
  const dispatcher = new Agent({ connections: 1 })
  test.teardown(async () => await dispatcher.close())
  const get = async (path: string, headers: Record<string, string> = {}) => {
    const { statusCode: status, body } = await request(`${sandbox.url}/v2/${path}`, {
      dispatcher,
      headers: { authorization: `Bearer ${token}`, accept, ...headers },
    })
    return { status, body: Buffer.from(await body.arrayBuffer()) }
  }
  return { receiver, sandbox, lines, token, get }
}

const parentOf = (traceId: string, flags = '01') => ({
  traceparent: `00-${traceId}-b7ad6b7169203331-${flags}`,
})
const idOf = (digit: string) => digit.repeat(32)

await t.test('a cold pull, a warm pull and a blob: each hop, parent and child', async (test) => {
  const { receiver, sandbox, lines, token, get } = await traced(test, {
    OTEL_RESOURCE_ATTRIBUTES: 'k8s.namespace.name=ci',
  })
  const isCold = await get('ocp/4.5/manifests/base', parentOf(idOf('a')))
  test.equal(isCold.status, 200)
  test.equal((await get('ocp/4.5/manifests/base', parentOf(idOf('b')))).status, 200)
  const { manifests } = JSON.parse(String(isCold.body)) as { manifests: [{ digest: string }] }
  const image = await get(`ocp/4.5/manifests/${manifests[0].digest}`)
  const { layers } = JSON.parse(String(image.body)) as { layers: [{ digest: string }] }
  test.equal((await get(`ocp/4.5/blobs/${layers[0].digest}`, parentOf(idOf('c')))).status, 200)
  test.equal((await get('ocp/4.5/manifests/missing', parentOf(idOf('d')))).status, 404)
  const form = new URLSearchParams({
    grant_type: 'password',
    username: 'alice',
    password: token,
    service: 'x',
  })
  const login = await fetch(`${sandbox.url}/v2/auth`, {
    method: 'POST',
    body: form,
    headers: parentOf(idOf('e')),
  })
  test.equal(login.status, 200)
  await fetch(`${sandbox.url}/readyz`, { headers: parentOf(idOf('f')) })
  // When the proxy stops, it sends the remaining spans.
  await sandbox.close()

  const { spans } = receiver
  const rootOf = (digit: string) => spans.find(({ traceId, kind }) => traceId === idOf(digit) && kind === 2)!
  const manifestRoute = 'GET /v2/:namespace/:name/manifests/:reference'
  test.strictSame(
    treeOf(spans, rootOf('a')),
    [
      manifestRoute,
      ['authentication', ['TokenReview', ['POST']]],
      ['authorization', ['SubjectAccessReview', ['POST']], ['SubjectAccessReview', ['POST']]],
      [
        'cached manifest',
        [
          'stored manifest',
          [
            'retry',
            [
              'hedge',
              [
                'fetch manifest',
                ['circuit breaker', ['rate limit', ['follow redirects', ['robot credential'], ['GET']]]],
              ],
            ],
          ],
        ],
        ['learn digests'],
      ],
    ],
    'a cold pull by tag',
  )
  test.strictSame(
    treeOf(spans, rootOf('b')),
    [manifestRoute, ['authorization'], ['cached manifest']],
    'a warm one',
  )
  test.strictSame(
    treeOf(spans, rootOf('c')),
    [
      'GET /v2/:namespace/:name/blobs/:digest',
      ['authorization'],
      [
        'stored blob',
        [
          'blob slot',
          [
            'resume',
            [
              'retry',
              [
                'hedge',
                [
                  'fetch blob',
                  [
                    'circuit breaker',
                    ['rate limit', ['follow redirects', ['robot credential'], ['GET'], ['GET']]],
                  ],
                ],
              ],
            ],
          ],
        ],
      ],
    ],
    'a blob with its redirect',
  )
  test.match(rootOf('a'), {
    parentSpanId: 'b7ad6b7169203331',
    resource: { 'service.name': 'quay-proxy', 'k8s.namespace.name': 'ci' },
    attributes: {
      'http.request.method': 'GET',
      'http.response.status_code': 200,
      'http.route': '/v2/:namespace/:name/manifests/:reference',
      'server.address': '127.0.0.1',
      'container.image.name': 'ocp/4.5',
      'quay_proxy.image': 'ocp_4.5_base',
      'quay_proxy.requester.kind': 'user',
      'quay_proxy.decision': 'allowed',
      'quay_proxy.rule': 'qci-wide',
    },
  })
  const inTrace = (digit: string, name: string) =>
    spans.filter((span) => span.traceId === idOf(digit) && span.name === name)
  test.match(
    inTrace('c', 'GET').map(({ kind, attributes }) => [kind, attributes['http.response.status_code']]),
    [
      [3, 302],
      [3, 200],
    ],
    'upstream, then its storage',
  )
  test.match(inTrace('a', 'cached manifest'), [{ attributes: { 'quay_proxy.source': 'live' } }])
  test.match(inTrace('b', 'cached manifest'), [{ attributes: { 'quay_proxy.source': 'cached' } }])
  test.match(inTrace('d', 'fetch manifest'), [
    { attributes: { 'error.type': 'MANIFEST_UNKNOWN' }, status: { code: 0 } },
  ])
  test.match(treeOf(spans, rootOf('e')), ['POST /v2/auth', ['authentication']], 'a login by a form')
  test.notOk(rootOf('f'), 'probes are not traced')
  test.ok(
    lines.some((line) => line.includes(`"traceId":"${idOf('a')}"`)),
    'the log names the trace',
  )

  test.strictSame(
    sandbox.quay.requests.filter(({ headers }) => 'traceparent' in headers),
    [],
    'quay.io does not learn which requests belong together',
  )
  for (const { headers } of sandbox.quay.requests) test.equal(headers['user-agent'], userAgent)
  const text = receiver.requests.join('\n')
  const signatures = sandbox.quay.requests
    .filter(({ origin }) => origin === 'cdn')
    .map(({ url }) => url.split('?')[1])
  test.ok(signatures.length > 0)
  for (const secret of [token, sandbox.robot.password, ...signatures])
    test.notOk(text.includes(String(secret)), 'no span holds a secret')
})

await t.test('an invalid traceparent is ignored', async (test) => {
  const { receiver, sandbox, get } = await traced(test)
  for (const traceparent of [
    'nonsense',
    `00-${idOf('0')}-b7ad6b7169203331-01`,
    `ff-${idOf('a')}-b7ad6b7169203331-01`,
  ])
    test.equal((await get('', { traceparent })).status, 200)
  await sandbox.close()
  const roots = receiver.spans.filter(({ kind }) => kind === 2)
  test.equal(roots.length, 3)
  for (const { parentSpanId, traceId } of roots) {
    test.notOk(parentSpanId)
    test.not(traceId, idOf('a'))
  }
})

await t.test(
  'a collector that is absent, or refuses, costs a pull nothing and the log one line',
  async (test) => {
    const { receiver, sandbox, lines, get } = await traced(test, { OTEL_EXPORTER_OTLP_TIMEOUT: '500' })
    receiver.status = 400
    test.equal((await get('ocp/4.5/manifests/base')).status, 200)
    await sandbox.close()
    test.equal(receiver.requests.length, 1)
    test.equal(lines.filter((line) => line.includes('traces cannot be exported')).length, 1)
  },
)
