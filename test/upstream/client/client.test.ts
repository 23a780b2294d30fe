import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { quayFor, robot, smallImage } from '../../sandbox/quay/quay-client.ts'
import { selfSigned } from '../../support/tls.ts'
import type { Quay } from '../../../src/sandbox/quay/quay.ts'
import {
  always,
  bytesOf,
  connect,
  everythingIn,
  failure,
  lookupOf,
  manifestRequest,
  serverFor,
  told,
  until,
  upstreamFor,
} from '../upstream.ts'
import type { UpstreamRequest } from '../../../src/upstream/request.ts'

const accept = 'application/vnd.oci.image.index.v1+json'
const manifest: UpstreamRequest = { ...manifestRequest, headers: { accept } }

/** A quay with an image, and the request for its first blob. */
const blobOf = async (quay: Quay): Promise<{ request: UpstreamRequest; digest: string; content: Buffer }> => {
  const image = await smallImage()
  quay.tag('a', image)
  const [[digest, content] = ['', Buffer.of()]] = image.blobs
  const path = `/v2/openshift/ci/blobs/${digest}`
  return { request: { method: 'GET', path, headers: {}, kind: 'blob', requester: 'alice' }, digest, content }
}

await t.test('the robot logs in, and the request is sent', async (test) => {
  const quay = await quayFor(test)
  quay.tag('a', await smallImage())
  const { send, observed, refusals } = connect(test, quay)
  const { status, headers, body } = await send(manifest)
  test.equal(status, 200)
  test.equal(headers['content-type'], accept)
  test.equal((await bytesOf(body)).length, Number(headers['content-length']))
  test.strictSame(observed, ['manifest 200'])
  test.strictSame(refusals, [])
})

await t.test('upstream sees the header fields of the request, and no others', async (test) => {
  const { url, requests } = await serverFor(test, always(200))
  const authorization = () => Promise.resolve('Bearer robot')
  const { send } = upstreamFor(test, url, { robot: { authorization, invalidate: () => undefined } })
  await (await send({ ...manifest, headers: { accept, range: 'bytes=0-1' } })).body.discard()
  const { host } = new URL(url)
  test.strictSame(requests, [
    {
      method: 'GET',
      url: '/v2/openshift/ci/manifests/a',
      headers: { host, connection: 'keep-alive', accept, range: 'bytes=0-1', authorization: 'Bearer robot' },
    },
  ])
})

await t.test('an upstream without a login gets no Authorization', async (test) => {
  const { url, requests } = await serverFor(test, always(200))
  await (await upstreamFor(test, url).send(manifest)).body.discard()
  test.notOk('authorization' in (requests[0]?.headers ?? {}))
})

await t.test(
  'trap 37: the CDN never gets the robot token; the digest is that of the first round trip',
  async (test) => {
    const quay = await quayFor(test)
    const { request, digest, content } = await blobOf(quay)
    const { send, observed } = connect(test, quay)
    for (let pull = 0; pull < 2; pull++) {
      const response = await send(request)
      test.equal(response.digest, digest)
      test.equal(response.headers['docker-content-digest'], undefined)
      test.strictSame(await bytesOf(response.body), content)
    }
    test.strictSame(quay.leaks, [])
    const atCdn = quay.requests.filter(({ origin }) => origin === 'cdn')
    test.strictSame(
      atCdn.map(({ headers }) => Object.keys(headers)),
      [['host'], ['host']],
    )
    test.strictSame(observed, ['blob 302', 'blob 200', 'blob 302', 'blob 200'], 'resolved anew per request')
  },
)

await t.test('attack: another port of the same host is another origin', async (test) => {
  const stranger = await serverFor(test, always(200))
  const { url } = await serverFor(test, always(307, { location: `${stranger.url}/a` }))
  const authorization = () => Promise.resolve('Bearer robot')
  const { send } = upstreamFor(test, url, { robot: { authorization, invalidate: () => undefined } })
  await (await send(manifest)).body.discard()
  test.equal(stranger.requests.length, 1)
  test.notOk('authorization' in (stranger.requests[0]?.headers ?? {}))
})

await t.test('attack: a redirect back to upstream is followed without the robot token', async (test) => {
  const { url, requests } = await serverFor(test, (request, response) => {
    if (request.url === '/b?c=d') response.end('here')
    else response.writeHead(301, { location: '/b?c=d', 'docker-content-digest': 'first' }).end('moved')
  })
  const authorization = () => Promise.resolve('Bearer robot')
  const { send } = upstreamFor(test, url, { robot: { authorization, invalidate: () => undefined } })
  const { body, digest } = await send(manifest)
  test.equal(String(await bytesOf(body)), 'here')
  test.equal(digest, 'first')
  test.strictSame(
    requests.map(({ headers }) => headers.authorization),
    ['Bearer robot', undefined],
  )
})

await t.test('three redirects are followed, a fourth is not', async (test) => {
  for (const status of [301, 302, 303, 307, 308]) {
    let redirects = 3
    const { url, requests } = await serverFor(test, (_request, response) => {
      if (requests.length > redirects) response.end()
      else response.writeHead(status, { location: `/${requests.length}?Signature=secret` }).end()
    })
    const { send } = upstreamFor(test, url)
    const response = await send({ ...manifest, method: 'HEAD' })
    await response.body.discard()
    test.equal(response.status, 200)
    redirects = Infinity
    const error = await failure(send(manifest))
    test.equal(told(error), '503 UNAVAILABLE 5')
    test.match(error.cause, new Error('more than 3 redirects'))
    test.notMatch(everythingIn(error), /secret/)
    test.equal(requests.length, 4 + 4)
    test.strictSame(
      requests.map(({ method }) => method),
      [...Array<string>(4).fill('HEAD'), ...Array<string>(4).fill('GET')],
    )
  }
})

await t.test('the location of a redirect is returned, and no request is sent there', async (test) => {
  const quay = await quayFor(test)
  const { request, digest } = await blobOf(quay)
  const { send } = connect(test, quay)
  const response = await send({ ...request, redirects: 'locate' })
  test.equal(response.location?.origin, quay.cdnUrl)
  test.equal(response.digest, digest)
  test.ok(quay.requests.every(({ origin }) => origin === 'quay'))
})

await t.test('304 and other 3xx are responses, not redirects', async (test) => {
  const { url, requests } = await serverFor(test, always(304, { location: '/elsewhere' }))
  const { status, body } = await upstreamFor(test, url).send(manifest)
  await body.discard()
  test.equal(status, 304)
  test.equal(requests.length, 1)
})

await t.test('trap 37: the URL of a refused redirect is not in the error', async (test) => {
  const quay = await quayFor(test)
  const { request } = await blobOf(quay)
  const { send } = connect(test, quay)
  const secret = 'secret/a?username=openshift%2Bci&Signature=secret'
  for (const location of [`http://secret:secret@127.0.0.1/${secret}`, `ftp://127.0.0.1/${secret}`]) {
    quay.fault({ origin: 'quay', path: /blobs/, redirectTo: location })
    const error = await failure(send(request))
    test.equal(told(error), '503 UNAVAILABLE 5')
    test.notMatch(everythingIn(error), /secret|openshift%2B/)
  }
  const { url } = await serverFor(test, always(302))
  test.match((await failure(upstreamFor(test, url).send(manifest))).cause, /no readable Location/)
})

await t.test('trap 37: whatever fails at the CDN, the signed URL is not in the error', async (test) => {
  const quay = await quayFor(test)
  const { request } = await blobOf(quay)
  const { send, refusals } = connect(test, quay, { timeouts: { head: 60 } })
  const faults = [
    { reset: true },
    { status: 500 },
    { status: 429 },
    { hang: true },
    { redirectTo: 'ftp://a' },
  ]
  for (const fault of faults) {
    quay.fault({ origin: 'cdn', path: /./, ...fault })
    const error = await failure(send(request))
    test.notMatch(everythingIn(error), /Signature|openshift%2B|repo_name|sha256/, JSON.stringify(fault))
  }
  test.strictSame(refusals, [])
})

/** Public, as its resolver has it, and reached all the same: the first address is the one that is connected to. */
const publicUpstream = ['127.0.0.1', '8.8.8.8']

await t.test(
  'attack: a redirect to a name with a private address, from a public upstream, is refused',
  async (test) => {
    const inside = await serverFor(test, always(200))
    let location = ''
    const { port } = await serverFor(test, (_request, response) =>
      response.writeHead(302, { location: `${location}/secret` }).end(),
    )
    const lookup = lookupOf({
      'quay.example.com': publicUpstream,
      'private.example.net': ['127.0.0.1'],
      'mixed.example.net': publicUpstream,
    })
    const { send, observed } = upstreamFor(test, `http://quay.example.com:${port}`, { lookup })
    for (const host of [
      'private.example.net',
      'mixed.example.net',
      '127.0.0.1',
      '[::ffff:127.0.0.1]',
      'localhost',
    ]) {
      location = `http://${host}:${inside.port}`
      const error = await failure(send(manifest))
      test.equal(told(error), '503 UNAVAILABLE 5', host)
      test.match(error.message, 'redirects where the proxy does not follow', host)
      test.notMatch(everythingIn(error), /secret|127\.0\.0\.1/)
    }
    test.equal(inside.requests.length, 0)
    test.strictSame(observed.slice(0, 2), ['manifest 302', 'manifest failed'])
  },
)

await t.test('an upstream inside the cluster may redirect to storage inside the cluster', async (test) => {
  const storage = await serverFor(test, always(200))
  const { port } = await serverFor(
    test,
    always(302, { location: `http://storage.example.svc:${storage.port}/a` }),
  )
  const lookup = lookupOf({ 'cache.example.svc': ['127.0.0.1'], 'storage.example.svc': ['127.0.0.1'] })
  const { send } = upstreamFor(test, `http://cache.example.svc:${port}`, { lookup })
  await (await send(manifest)).body.discard()
  test.equal(storage.requests.length, 1)
})

await t.test('a request does not wait for a login beyond its deadline', async (test) => {
  const { url, requests } = await serverFor(test, always(200))
  const login = Promise.withResolvers<string>()
  const robot = { authorization: async () => await login.promise, invalidate: () => undefined }
  const { send } = upstreamFor(test, url, { robot, timeouts: { total: 30 } })
  test.equal(told(await failure(send(manifest))), '504 UNAVAILABLE 5')
  test.equal(requests.length, 0)
  login.resolve('Bearer robot')
})

await t.test('trap 40: a 401 is retried once, with a new token', async (test) => {
  const quay = await quayFor(test)
  const { request, content } = await blobOf(quay)
  const { send, observed, refusals } = connect(test, quay)
  await (await send(request)).body.discard()
  quay.fault({ origin: 'quay', path: /blobs/, expire: true })
  test.strictSame(await bytesOf((await send(request)).body), content)
  test.strictSame(observed.slice(2), ['blob 401', 'blob 302', 'blob 200'])
  test.equal(quay.requests.filter(({ url }) => url.startsWith('/v2/auth')).length, 2)
  test.strictSame(refusals, [])
})

await t.test(
  'trap 16: a second 401 is 503 and an alarm; its challenge does not reach the client',
  async (test) => {
    const headers = { 'www-authenticate': 'Bearer realm="https://secret.example.com/v2/auth"' }
    const { url, requests } = await serverFor(test, always(401, headers, 'secret body'))
    const tokens = ['Bearer secret-1', 'Bearer secret-2', 'Bearer secret-3']
    const invalidated: Array<string | undefined> = []
    const { send, refusals } = upstreamFor(test, url, {
      robot: {
        authorization: () => Promise.resolve(tokens.shift()),
        invalidate: (refused) => void invalidated.push(refused),
      },
    })
    const error = await failure(send(manifest))
    test.equal(told(error), '503 UNAVAILABLE 30')
    test.notMatch(everythingIn(error), /secret/)
    test.strictSame(Object.keys(error.headers), ['retry-after'])
    test.strictSame(invalidated, ['Bearer secret-1', 'Bearer secret-2'])
    test.strictSame(
      requests.map((request) => request.headers.authorization),
      ['Bearer secret-1', 'Bearer secret-2'],
    )
    test.equal(refusals.length, 1)
    test.notMatch(refusals.join(), /secret/)
  },
)

await t.test('after a second 401 another robot is tried; a third 401 is the end', async (test) => {
  for (const status of [200, 401]) {
    const { url, requests } = await serverFor(test, (request, response) => {
      response.writeHead(request.headers.authorization === 'Bearer other' ? status : 401).end()
    })
    const tokens = ['Bearer old', 'Bearer fresh', 'Bearer other', 'Bearer none']
    const { send, refusals } = upstreamFor(test, url, {
      robot: { authorization: () => Promise.resolve(tokens.shift()), invalidate: () => true },
    })
    if (status === 200) await (await send(manifest)).body.discard()
    else test.equal(told(await failure(send(manifest))), '503 UNAVAILABLE 30')
    test.equal(refusals.length, status === 200 ? 0 : 1)
    test.equal(requests.length, 3)
  }
})

await t.test('without a login of the robot no request is sent', async (test) => {
  const { url, requests } = await serverFor(test, always(200))
  const authorization = () => Promise.reject(new Error('no'))
  const { send } = upstreamFor(test, url, { robot: { authorization, invalidate: () => undefined } })
  await test.rejects(send(manifest), new Error('no'))
  test.equal(requests.length, 0)
})

await t.test('trap 39: 429, with and without Retry-After, and 5xx are transient errors', async (test) => {
  const quay = await quayFor(test)
  quay.tag('a', await smallImage())
  const { send, observed, refusals } = connect(test, quay)
  const rows = [
    [{ status: 429 }, '429 TOOMANYREQUESTS 5'],
    [{ status: 429, headers: { 'retry-after': '17' } }, '429 TOOMANYREQUESTS 17'],
    [{ status: 500 }, '503 UNAVAILABLE 5'],
    [{ status: 502 }, '503 UNAVAILABLE 5'],
    [{ status: 503, headers: { 'retry-after': '17' } }, '503 UNAVAILABLE 5'],
  ] as const
  for (const [fault, expected] of rows) {
    quay.fault({ origin: 'quay', path: /manifests/, ...fault })
    const error = await failure(send(manifest))
    test.equal(told(error), expected)
    test.notMatch(everythingIn(error), /nginx/, 'the body is dropped')
  }
  test.strictSame(observed, ['manifest 429', 'manifest 429', 'manifest 500', 'manifest 502', 'manifest 503'])
  test.strictSame(refusals, [], 'no alarm')
})

await t.test('4xx are responses', async (test) => {
  for (const status of [400, 403, 404, 416]) {
    const { url } = await serverFor(test, always(status))
    const response = await upstreamFor(test, url).send(manifest)
    await response.body.discard()
    test.equal(response.status, status)
  }
})

await t.test('trap 19, 41: the wait for a connection, a head or a body is bounded', async (test) => {
  const nowhere = (() => undefined) as unknown as ReturnType<typeof lookupOf>
  const connecting = upstreamFor(test, 'http://quay.example.com', {
    lookup: nowhere,
    timeouts: { connect: 30 },
  })
  const silent = await serverFor(test, () => undefined)
  const waiting = upstreamFor(test, silent.url, { timeouts: { head: 30 } })
  const stalling = await serverFor(test, (_request, response) => void response.write('x'))
  const { body } = await upstreamFor(test, stalling.url, { timeouts: { body: 30 } }).send(manifest)
  const [unconnected, headless] = await Promise.all([
    failure(connecting.send(manifest)),
    failure(waiting.send(manifest)),
    test.rejects(bytesOf(body), { code: 'UNAVAILABLE' }),
  ])
  test.equal(told(unconnected), '504 UNAVAILABLE 5')
  test.match(unconnected.cause, { code: 'UND_ERR_CONNECT_TIMEOUT' })
  test.equal(told(headless), '504 UNAVAILABLE 5')
  test.match(headless.cause, { code: 'UND_ERR_HEADERS_TIMEOUT' })
  test.strictSame(waiting.observed, ['manifest failed'])
})

await t.test('a refused connection, a reset one and an unknown name are errors', async (test) => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  const refused = await failure(upstreamFor(test, `http://127.0.0.1:${port}`).send(manifest))
  test.equal(told(refused), '503 UNAVAILABLE 5')
  test.match(refused.cause, { code: 'ECONNREFUSED' })

  const { url } = await serverFor(test, (_request, response) => void response.destroy())
  test.equal(told(await failure(upstreamFor(test, url).send(manifest))), '503 UNAVAILABLE 5')

  const lookup = lookupOf({})
  const absent = await failure(upstreamFor(test, 'http://quay.example.com', { lookup }).send(manifest))
  test.equal(told(absent), '503 UNAVAILABLE 5')
  test.match(absent.cause, { code: 'ENOTFOUND' })
})

await t.test('attack: an endless head is given up', async (test) => {
  const { url } = await serverFor(test, always(200, { 'x-padding': 'x'.repeat(33 * 1024) }))
  const error = await failure(upstreamFor(test, url).send(manifest))
  test.equal(told(error), '503 UNAVAILABLE 5')
  test.match(error.cause, { code: 'UND_ERR_HEADERS_OVERFLOW' })
  const fitting = await serverFor(test, always(200, { 'x-padding': 'x'.repeat(31 * 1024) }))
  await (await upstreamFor(test, fitting.url).send(manifest)).body.discard()
})

await t.test('the request to upstream ends when its caller leaves', async (test) => {
  let closed: Promise<unknown> | undefined
  const { url } = await serverFor(test, (_request, response) => {
    closed = once(response, 'close')
  })
  const { send } = upstreamFor(test, url)
  const controller = new AbortController()
  const asked = failure(send({ ...manifest, signal: controller.signal }))
  await until(() => closed !== undefined)
  controller.abort()
  test.equal(told(await asked), '503 UNAVAILABLE 5')
  await closed
})

await t.test('there are no more connections than allowed', async (test) => {
  let open = 0
  let most = 0
  const { url, requests } = await serverFor(test, (_request, response) => {
    most = Math.max(most, ++open)
    setTimeout(() => {
      open--
      response.end()
    }, 5)
  })
  const { send } = upstreamFor(test, url, { maxConnections: 2 })
  await Promise.all(Array.from({ length: 8 }, async () => (await send(manifest)).body.discard()))
  test.equal(requests.length, 8)
  test.equal(most, 2)
})

await t.test('an upstream with a certificate authority of its own, for both round trips', async (test) => {
  const tls = selfSigned()
  const quay = await quayFor(test, { tls, host: 'localhost' })
  const { request, content } = await blobOf(quay)
  const authorization = async (): Promise<string> => {
    const query = new URLSearchParams({
      service: new URL(quay.url).host,
      scope: 'repository:openshift/ci:pull',
    })
    const basic = `Basic ${Buffer.from(`${robot.username}:${robot.password}`).toString('base64')}`
    const { body } = await trusting.get(new URL(`${quay.url}/v2/auth?${query}`), basic)
    return `Bearer ${(JSON.parse(body) as { token: string }).token}`
  }
  const trusting = upstreamFor(test, quay.url, {
    ca: String(tls.cert),
    robot: { authorization, invalidate: () => undefined },
  })
  test.strictSame(await bytesOf((await trusting.send(request)).body), content)
  test.strictSame(quay.leaks, [])

  const before = quay.requests.length
  const error = await failure(upstreamFor(test, quay.url).send(request))
  test.equal(told(error), '503 UNAVAILABLE 5')
  test.match(error.cause, { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' })
  test.equal(quay.requests.length, before, 'nothing was sent')

  quay.fault({ origin: 'quay', path: /blobs/, redirectTo: quay.cdnUrl.replace('https', 'http') })
  const downgraded = await failure(trusting.send(request))
  test.match(downgraded.cause, new Error('redirect to http:'))
})

await t.test(
  'get sends once, without redirects and without the robot token; it returns the challenge',
  async (test) => {
    const challenges = ['Bearer realm="a"', 'Basic realm="b"']
    const elsewhere = await serverFor(test, always(200))
    const headers = { 'www-authenticate': challenges, location: elsewhere.url, 'retry-after': '7' }
    const { url, requests } = await serverFor(test, always(302, headers, 'body'))
    const robotAsked = () => test.fail('the robot is not asked to log in to log in')
    const { get, observed } = upstreamFor(test, url, {
      robot: { authorization: () => Promise.reject(new Error('no')), invalidate: robotAsked },
    })
    test.strictSame(await get(new URL('/v2/?a=b', url), 'Basic x'), {
      status: 302,
      challenge: 'Bearer realm="a"',
      retryAfter: '7',
      body: 'body',
    })
    test.match(requests, [{ method: 'GET', url: '/v2/?a=b', headers: { authorization: 'Basic x' } }])
    await get(new URL(url))
    test.notOk('authorization' in (requests[1]?.headers ?? {}))
    test.equal(elsewhere.requests.length, 0)
    test.strictSame(observed, ['robot 302', 'robot 302'])
  },
)

await t.test(
  'get returns no challenge if there is none, and refuses a body that is too large',
  async (test) => {
    const small = await serverFor(test, always(200, {}, 'x'.repeat(64 * 1024)))
    const answer = await upstreamFor(test, small.url).get(new URL(small.url))
    test.notOk('challenge' in answer)
    const large = await serverFor(test, always(200, {}, 'x'.repeat(64 * 1024 + 1)))
    test.equal(told(await failure(upstreamFor(test, large.url).get(new URL(large.url)))), '503 UNAVAILABLE 5')
  },
)

await t.test('close ends all requests', async (test) => {
  const { url, requests } = await serverFor(test, () => undefined)
  const { send, network } = upstreamFor(test, url)
  const asked = failure(send(manifest))
  await until(() => requests.length === 1)
  await network.close()
  test.equal(told(await asked), '503 UNAVAILABLE 5')
  test.equal(told(await failure(send(manifest))), '503 UNAVAILABLE 5')
})

await t.test('one deadline covers all round trips and the wait for a free connection', async (test) => {
  const held = await serverFor(test, () => undefined)
  const { send, observed } = upstreamFor(test, held.url, { maxConnections: 1, timeouts: { total: 100 } })
  const outcomes = await Promise.all([failure(send(manifest)), failure(send(manifest))])
  for (const error of outcomes) test.match(error, { code: 'UNAVAILABLE', status: 504 })
  test.equal(held.requests.length, 1, 'the second one never got a connection')
  test.equal(observed.length, 2)
})

await t.test('a blob has no deadline after its head', async (test) => {
  const slow = await serverFor(test, (_request, response) => {
    response.writeHead(200, { 'content-length': 2 }).write('a')
    setTimeout(() => response.end('b'), 200)
  })
  const { send } = upstreamFor(test, slow.url, { timeouts: { total: 100 } })
  const { body } = await send({ ...manifest, kind: 'blob' })
  test.equal((await bytesOf(body)).toString(), 'ab')
  const { body: cut } = await send(manifest)
  await test.rejects(bytesOf(cut), { code: 'UNAVAILABLE' }, 'a manifest does not')
})

await t.test('trap 23: an encoded response is a transient error, for every kind', async (test) => {
  const codings = { identity: true, IDENTITY: true, '': true, gzip: false, 'identity, br': false }
  for (const kind of ['manifest', 'blob', 'tags', 'referrers'] as const)
    for (const [coding, isPlain] of Object.entries(codings))
      for (const status of [200, 206, 404]) {
        const { url } = await serverFor(test, always(status, { 'content-encoding': coding }, 'x'))
        const asked = upstreamFor(test, url).send({ ...manifest, kind })
        if (isPlain || status === 404) await (await asked).body.discard()
        else test.equal(told(await failure(asked)), '503 UNAVAILABLE 5', `${kind} ${coding}`)
      }
})

await t.test('an ignored redirect is the response, and no request is sent there', async (test) => {
  for (const headers of [{}, { location: '' }, { location: 'file:///etc/passwd' }] as Record<
    string,
    string
  >[]) {
    const { url, requests } = await serverFor(test, always(302, headers))
    const { status, body } = await upstreamFor(test, url).send({ ...manifest, redirects: 'ignore' })
    await body.discard()
    test.strictSame([status, requests.length], [302, 1])
  }
})

await t.test('attack: a 401 after a redirect back says nothing about the robot', async (test) => {
  for (const kind of ['manifest', 'blob'] as const) {
    const { url, requests } = await serverFor(test, ({ url: path }, response) => {
      response
        .writeHead(path === '/other/secret' ? 401 : 302, { location: '/other/secret', 'content-length': '0' })
        .end()
    })
    let invalidated = 0
    const robotOf = {
      authorization: () => Promise.resolve('Bearer robot'),
      invalidate: () => void invalidated++,
    }
    const { send, refusals } = upstreamFor(test, url, { robot: robotOf })
    test.match(told(await failure(send({ ...manifest, kind }))), /^503 UNAVAILABLE/)
    test.strictSame(
      requests.map(({ headers }) => headers.authorization),
      ['Bearer robot', undefined],
    )
    test.strictSame([refusals, invalidated], [[], 0])
  }
})

await t.test(
  'if the robot cannot log in again after a 401, its error is thrown and the connection is freed',
  async (test) => {
    const { url, requests } = await serverFor(test, always(401, {}, 'no'))
    const tokens = ['Bearer one']
    const { send } = upstreamFor(test, url, {
      maxConnections: 1,
      robot: {
        authorization: async () => tokens.shift() ?? Promise.reject(new Error('no login')),
        invalidate: () => true,
      },
    })
    await test.rejects(send(manifest), new Error('no login'))
    tokens.push('Bearer two')
    await test.rejects(send(manifest), new Error('no login'))
    test.equal(requests.length, 2)
  },
)
