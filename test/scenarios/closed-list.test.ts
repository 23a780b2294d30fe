import { METHODS } from 'node:http'
import { scenario } from './scenario.ts'

/** Requests that are not the pull of one image of QCI. Each must end at the proxy, for every requester. */
const targets = [
  '/',
  '/favicon.ico',
  // Without a mirror. With one: mirrors.test.ts.
  '/mirrors',
  '/mirrors/ocp/ubi:9',
  '/mirrors/ocp/ubi:9/sync',
  '/api/v1/mirrors/ocp/ubi:9/sync',
  '/v1/search?q=x',
  '/v2/_catalog',
  '/v2/_catalog?n=100',
  '/v2/search',
  '/api/v1',
  '/api/v1/repository/openshift/ci',
  '/api/v1/user/',
  '/oauth/authorize',
  '/v2/openshift/ci',
  '/v2/openshift/ci/',
  '/v2/openshift/ci/blobs/',
  '/v2/openshift/ci/blobs/uploads/',
  '/v2/openshift/ci/blobs/uploads/?digest=sha256:0',
  '/v2/openshift/ci/blobs/uploads/5f7b4c1e',
  '/v2/openshift/ci/manifests/',
  '/v2/openshift/ci/manifests/ocp_4.5_base/',
  '/v2/openshift/ci/manifests/ocp_4.5_base/x',
  '/v2/openshift/ci/tags',
  '/v2/openshift/ci/tags/list/',
  '/v2/openshift/ci/extra/tags/list',
  '/v2/auth/',
  '/v2//',
  '/v2/../',
  '/v2/../api/v1/user',
  '/v2/./openshift/ci/manifests/ocp_4.5_base',
  '/v2/openshift/ci/../other/manifests/latest',
  '/v2/%2e%2e/api/v1',
  '/v2/%2e%2e/%2e%2e/manifests/latest',
  '/v2/openshift/%2e%2e/manifests/latest',
  '/v2/openshift/ci/manifests/%2e%2e',
  '/v2/openshift/ci/manifests/..%2f..%2fother%2fmanifests%2flatest',
  '/v2/openshift%2Fci/x/manifests/latest',
  '/v2/openshift%2fci%2fmanifests%2focp_4.5_base',
  '/v2/other%2Frepo/x/blobs/sha256:0',
  '/v2/openshift/ci%2f..%2fother/manifests/latest',
  '//v2/openshift/ci/manifests/ocp_4.5_base',
  '/v2//openshift/ci/manifests/ocp_4.5_base',
  '/v2/openshift//ci/manifests/ocp_4.5_base',
  '/v2/openshift/ci//manifests/ocp_4.5_base',
  '/V2/openshift/ci/manifests/ocp_4.5_base',
  `/v2/${'a'.repeat(64)}/x/manifests/latest`,
  `/v2/ocp/${'a'.repeat(256)}/manifests/latest`,
  `/v2/ocp/4.5/manifests/${'a'.repeat(129)}`,
  `/v2/ocp/4.5/manifests/${'a'.repeat(125)}`,
  `/v2/${'a/'.repeat(2000)}manifests/latest`,
  '/v2/OCP/4.5/manifests/base',
  '/v2/ocp_x/4.5/manifests/base',
  '/v2/ocp/4.5/manifests/-base',
  '/v2/ocp/4.5/manifests/a%20b',
  '/v2/ocp/4.5/manifests/a%00b',
  '/v2/ocp%00/4.5/manifests/base',
  '/v2/ocp/4.5/manifests/b%C3%A4se',
  '/v2/ocp/4.5/manifests/%ff',
  '/v2/ocp/4.5/manifests/%',
  '/v2/ocp/4.5/manifests/base%0d%0ahost:%20evil',
  '/v2/ocp/4.5/manifests/sha256:abc',
  '/v2/ocp/4.5/manifests/md5:d41d8cd98f00b204e9800998ecf8427e',
  `/v2/ocp/4.5/blobs/sha256:${'A'.repeat(64)}`,
  '/v2/ocp/4.5/blobs/base',
  `/v2/ocp/4.5/referrers/base`,
  '/v2/20240603235401/prune/manifests/ocp-priv_4.5_embargoed',
  'http://quay.io/v2/openshift/ci/manifests/ocp_4.5_base',
  'http://127.0.0.1:1/v2/openshift/ci/manifests/ocp_4.5_base',
  'https://quay.io/api/v1/user/',
  '*',
  'quay.io:443',
]

/** Raw bytes, because no client library would send them. */
const unreadable = [
  '/v2/ocp/\0/manifests/base',
  '/v2/ocp/4.5/manifests/\xff\xfe',
  '/v2/a b/c',
  '\xc3\xa4',
  '',
]

/** All methods that Node knows, and one that it does not know. */
const methods = [...METHODS, 'FOO']

/** The fault of an answer; undefined if it has none. */
const problemOf = (answer: string, method: string): string | undefined => {
  const [head = '', body = ''] = answer.split('\r\n\r\n')
  const [statusLine = '', ...fields] = head.split('\r\n')
  const status = Number(statusLine.split(' ')[1])
  if (![400, 401, 404, 405].includes(status)) return `status ${status}`
  const field = (name: string) => fields.filter((line) => line.toLowerCase().startsWith(`${name}: `))
  if (field('content-type').join() !== 'content-type: application/json')
    return `content type ${field('content-type').join()}`
  if (field('x-request-id').length !== 1) return 'no request id'
  if (status === 405 && field('allow').length !== 1) return 'no Allow'
  // The method of a request that cannot be parsed is unknown.
  if (method === 'HEAD' && !body.includes('not valid HTTP')) return body === '' ? undefined : 'a body'
  return problemOfBody(body)
}

const problemOfBody = (body: string): string | undefined => {
  const { errors } = JSON.parse(body) as { errors: readonly { code: string; message: string }[] }
  const [error] = errors
  return errors.length === 1 && error?.message !== '' ? undefined : 'not one error with a message'
}

await scenario(
  'a closed list: other methods and paths get an error in OCI JSON, and reach nothing',
  async (t, s) => {
    const before = s.upstreamRequests()
    const rows = methods.flatMap((method) =>
      [...targets, ...unreadable].map((target) => ({ method, target })),
    )
    for (const { method, target } of rows) {
      const answer = await s.raw(
        Buffer.from(
          `${method} ${target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${s.alice}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`,
          'latin1',
        ),
      )
      const problem = problemOf(answer, method)
      if (problem !== undefined)
        t.fail(`${method} ${JSON.stringify(target.slice(0, 80))}: ${problem}`, { answer })
    }
    t.ok(rows.length > 2000, `${rows.length} requests`)
    t.equal(s.upstreamRequests(), before, 'nothing of it reached upstream')
  },
)

await scenario('on a route that exists, every method but GET and HEAD is answered 405', async (t, s) => {
  const routes = ['/v2/', '/v2', '/v2/ocp/4.5/manifests/base', '/v2/ocp/4.5/tags/list', '/healthz']
  const before = s.upstreamRequests()
  for (const target of routes)
    for (const method of methods.filter((name) => !['GET', 'HEAD', 'FOO'].includes(name))) {
      const head = `${method} ${target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${s.alice}\r\n`
      const answer = await s.raw(
        `${head}Content-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}`,
      )
      t.match(answer, /^HTTP\/1\.1 405 /, `${method} ${target}`)
      t.match(answer, /\r\nallow: GET, HEAD\r\n/, `${method} ${target}`)
      t.match(answer, /"code":"UNSUPPORTED"/, `${method} ${target}`)
    }
  t.match(
    await s.raw(
      `PUT /v2/auth HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${s.alice}\r\nConnection: close\r\n\r\n`,
    ),
    /\r\nallow: GET, HEAD, POST\r\n/,
  )
  t.equal(s.upstreamRequests(), before)
})

await scenario(
  'trap 4: without a credential every method and route of the registry gets the challenge',
  async (t, s) => {
    const before = s.upstreamRequests()
    for (const target of [
      '/v2/',
      '/v2',
      '/v2/ocp/4.5/manifests/base',
      '/v2/ocp/4.5/blobs/uploads/',
      '/v2/_catalog',
    ])
      for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']) {
        const answer = await s.ask(target, { method })
        t.equal(answer.status, 401, `${method} ${target}`)
        t.equal(
          answer.headers.get('www-authenticate'),
          `Bearer realm="${s.url}/v2/auth",service="${new URL(s.url).host}"`,
          `${method} ${target}`,
        )
      }
    t.equal(s.upstreamRequests(), before)
    t.equal(s.kubernetes.requests.tokenReviews, 0, 'trap 14: and asks nobody')
  },
)

await scenario('a head over the limit, and a refused body', async (t, s) => {
  const before = s.upstreamRequests()
  const large = await s.raw(`GET /v2/ HTTP/1.1\r\nHost: x\r\nX: ${'a'.repeat(70_000)}\r\n\r\n`)
  t.match(large, /^HTTP\/1\.1 400 [^]*"code":"UNSUPPORTED"/)
  const upload = await s.raw(
    `PUT /v2/ocp/4.5/manifests/base HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${s.alice}\r\nContent-Length: 1000000\r\n\r\n${'x'.repeat(1000)}`,
  )
  t.match(upload, /^HTTP\/1\.1 405 [^]*connection: close/i)
  t.equal(s.upstreamRequests(), before)
})
