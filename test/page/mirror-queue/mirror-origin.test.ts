import type { ServerResponse } from 'node:http'
import t from 'tap'
import { bearer } from '../../registry/fakes.ts'
import { codeOf } from '../../server/server-options.ts'
import { until } from '../../support/until.ts'
import { image, queue, serveMirror } from './fake-mirror.ts'

await t.test('the mirror gets the request and its id, and nothing of the client', async (test) => {
  const { get, mirror, lines } = await serveMirror(test)
  const headers = {
    ...bearer,
    cookie: 'a=secret',
    'x-forwarded-for': '192.0.2.1',
    'proxy-authorization': 'Basic secret',
    'x-secret': 'secret',
    'user-agent': 'someone',
    'content-type': 'application/x-www-form-urlencoded',
  }
  const listed = await get('/mirrors?state=dead', { headers })
  test.strictSame(JSON.parse(listed.body), queue)
  const synced = await get('/mirrors/ocp/ubi:9/sync', { headers, method: 'POST', body: 'token=secret' })
  test.equal(synced.status, 202)
  const [first, second] = mirror.seen
  test.equal(first?.url, '/api/v1/mirrors?action=show&limit=100&state=dead')
  test.strictSame(
    [second?.method, second?.url, second?.body],
    ['POST', '/api/v1/mirrors/ocp/ubi%3A9/sync', ''],
  )
  test.strictSame(Object.keys(first?.headers ?? {}).toSorted(), [
    'accept',
    'connection',
    'host',
    'user-agent',
    'x-request-id',
  ])
  test.equal(first?.headers['user-agent'], 'quay-proxy/1')
  test.equal(first?.headers['x-request-id'], listed.headers.get('x-request-id'))
  test.notMatch(JSON.stringify(mirror.seen), /secret|someone|Bearer|192\.0\.2/)
  test.notMatch(JSON.stringify(lines), /secret/)
})

await t.test('the answer has the content, and no header field of the mirror', async (test) => {
  const { get, mirror } = await serveMirror(test)
  mirror.reply = (_seen, response) => {
    response.writeHead(200, {
      'content-type': 'text/html',
      'set-cookie': 'a=b',
      'www-authenticate': 'Basic',
      location: 'http://elsewhere',
      'access-control-allow-origin': '*',
      'x-request-id': 'forged',
    })
    response.end(JSON.stringify(image))
  }
  const { status, headers, body } = await get('/mirrors/ocp/ubi:9', { headers: bearer })
  test.equal(status, 200)
  test.strictSame(JSON.parse(body), image)
  test.equal(headers.get('content-type'), 'application/json')
  test.equal(headers.get('cache-control'), 'no-store')
  test.match(headers.get('x-request-id'), /^[0-9a-f-]{36}$/)
  for (const name of ['set-cookie', 'www-authenticate', 'location', 'access-control-allow-origin'])
    test.notOk(headers.has(name), name)
})

const twice = (texts: readonly string[]): readonly string[] => texts.flatMap((text) => [text, text])

await t.test('a mirror that fails: one request, and a status that says how', async (test) => {
  const quick = await serveMirror(test, { limits: { timeoutMs: 50, syncTimeoutMs: 50 } })
  const usual = await serveMirror(test)
  const rows: readonly (readonly [number, (response: ServerResponse) => void])[] = [
    [504, () => undefined],
    [504, (response) => void response.writeHead(200).write('{')],
    [502, (response) => void response.end('garbage')],
    [502, (response) => void response.writeHead(302, { location: '/' }).end()],
    [502, (response) => void response.writeHead(503).end()],
    [502, (response) => void response.end(' '.repeat(3_000_000))],
    [503, (response) => void response.destroy()],
    [503, (response) => void response.socket?.end('no HTTP')],
  ]
  for (const [status, reply] of rows)
    for (const [method, path] of [
      ['GET', '/mirrors'],
      ['POST', '/mirrors/ocp/ubi:9/sync'],
    ] as const) {
      const { get, mirror } = status === 504 ? quick : usual
      mirror.seen.length = 0
      mirror.reply = (_seen, response) => reply(response)
      const answer = await get(path, { method, headers: bearer })
      test.strictSame(
        [answer.status, codeOf(answer.body)],
        [status, 'UNAVAILABLE'],
        `${method} ${reply.toString()}`,
      )
      test.match(answer.body, /request id/)
      test.equal(mirror.seen.length, 1, 'no retry')
    }
  test.strictSame(
    [...quick.outcomes, ...usual.outcomes].map((outcome) => outcome.split(' ')[1]),
    // An answer that has another form was answered all the same.
    [
      'late',
      'late',
      'late',
      'late',
      ...twice(['answered', 'answered', 'failed', 'failed', 'unreachable', 'unreachable']),
    ],
  )
  await usual.origin.close()
  test.equal((await usual.get('/mirrors', { headers: bearer })).status, 503)
})

await t.test('a slow mirror: the requests of one person leave some for others', async (test) => {
  const { get, mirror, port, outcomes } = await serveMirror(test, {
    more: {
      authenticate: async (credential) => {
        const username = 'token' in credential ? credential.token : ''
        return {
          identity: { kind: 'user', key: username, user: { username, groups: [], extra: {} } },
          bearerToken: username,
        }
      },
    },
  })
  const waiting: ServerResponse[] = []
  mirror.reply = (_seen, response) => void waiting.push(response)
  const ending = new AbortController()
  const send = async (username: string) =>
    await fetch(`http://127.0.0.1:${port}/mirrors`, {
      headers: { authorization: `Bearer ${username}` },
      signal: ending.signal,
    }).catch(() => undefined)
  const many = Array.from({ length: 12 }, async () => await send('alice'))
  await until(() => waiting.length === 12)
  const refused = await get('/mirrors', { headers: { authorization: 'Bearer alice' } })
  test.equal(refused.status, 503)
  test.match(refused.body, 'too many requests to the mirror at once')
  test.strictSame(outcomes, ['GET shed'])
  const other = send('bob')
  await until(() => waiting.length === 13)
  for (const response of waiting) response.end(JSON.stringify(queue))
  test.equal((await other)?.status, 200)
  await Promise.all(many)
  ending.abort()
})

await t.test('a look-up of the proxy itself', async (test) => {
  const { mirror, origin, outcomes } = await serveMirror(test)
  const { status, body } = await origin.get('alice', '/api/v1/mirrors/ocp/ubi%3A9')
  test.strictSame([status, JSON.parse(body.toString())], [200, image])
  await origin.get('alice', '/api/v1/mirrors', 'action=show')
  test.strictSame(
    mirror.seen.map(({ method, url }) => `${method} ${url}`),
    ['GET /api/v1/mirrors/ocp/ubi%3A9', 'GET /api/v1/mirrors?action=show'],
  )
  test.strictSame(mirror.seen[0]?.headers['user-agent'], 'quay-proxy/1')
  test.strictSame(outcomes, ['GET answered', 'GET answered'])
  const slow = await serveMirror(test, { limits: { lookUpMs: 50 } })
  slow.mirror.reply = () => undefined
  await test.rejects(slow.origin.get('alice', '/'), {
    message: 'the mirror is too slow; try again in a moment',
  })
})

await t.test('a client that leaves is no failure of the mirror', async (test) => {
  const { mirror, port, outcomes } = await serveMirror(test)
  const leaving = new AbortController()
  mirror.reply = (_seen, response) => {
    response.writeHead(200).write('{')
    leaving.abort()
  }
  await test.rejects(fetch(`http://127.0.0.1:${port}/mirrors`, { headers: bearer, signal: leaving.signal }))
  await until(() => outcomes.length === 1)
  test.strictSame(outcomes, ['GET cancelled'])
})
