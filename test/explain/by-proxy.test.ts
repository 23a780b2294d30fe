import { createServer as createHttpServer, type RequestListener } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import type { AddressInfo, Server } from 'node:net'
import t from 'tap'
import type { Test } from 'tap'
import { explainByProxy } from '../../src/explain/by-proxy.ts'
import { selfSigned } from '../support/tls.ts'

const answer = {
  requestId: 'r',
  pullSpec: 'p/a/b:c',
  access: 'allowed',
  reading: {},
  reviews: [],
  reason: 'You may.',
  next: 'pull',
}

const requester = { authorization: 'Bearer secret-token', userAgent: 'quay-proxy/1 (explain)' }

const listen = async (test: Test, server: Server): Promise<number> => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  test.teardown(() => server.close())
  return (server.address() as AddressInfo).port
}

const serving = async (test: Test, listener: RequestListener) => {
  const port = await listen(test, createHttpServer(listener))
  return { ...requester, server: new URL(`http://127.0.0.1:${port}`) }
}

await t.test('the answer, for the login that was sent', async (test) => {
  const seen: unknown[] = []
  const options = await serving(test, (request, response) => {
    const { authorization, 'user-agent': userAgent } = request.headers
    seen.push([request.url, authorization, userAgent])
    response.end(JSON.stringify(answer))
  })
  test.strictSame(await explainByProxy('a/b:c&d', options), answer)
  test.strictSame(seen, [['/access?image=a%2Fb%3Ac%26d', 'Bearer secret-token', requester.userAgent]])
})

await t.test('over TLS, with an authority of its own', async (test) => {
  const { key, cert } = selfSigned()
  const port = await listen(
    test,
    createHttpsServer({ key, cert }, (_request, response) => response.end(JSON.stringify(answer))),
  )
  const options = { ...requester, server: new URL(`https://localhost:${port}`) }
  test.match(await explainByProxy('a/b', { ...options, ca: cert.toString() }), { access: 'allowed' })
  await test.rejects(explainByProxy('a/b', options), { message: /^localhost:\d+ cannot be reached: / })
})

await t.test('attack: a token over plain HTTP, to another machine', async (test) => {
  for (const origin of ['http://proxy.example', 'http://127.proxy.example'])
    await test.rejects(explainByProxy('a/b', { ...requester, server: new URL(origin) }), {
      message: `${origin} is not https: others could read your token`,
    })
})

await t.test('errors are the message of the proxy, and contain no token', async (test) => {
  const rows = [
    [401, '{"errors":[{"code":"UNAUTHORIZED","message":"log in\\u001b[2J first"}]}', /: log in\?\[2J first$/],
    [302, '', /: it answered 302, not as a quay-proxy does$/],
    [200, '<html>', /: it answered 200, not as/],
    [200, '{"pullSpec":1}', /: it answered 200, not as/],
    [200, JSON.stringify({ ...answer, access: 'maybe' }), /: it answered 200, not as/],
    [200, ' '.repeat(70_000), /cannot be reached: its answer is too long$/],
  ] as const
  for (const [status, body, message] of rows) {
    const options = await serving(test, (_request, response) => {
      response.writeHead(status, { location: 'http://127.0.0.1:1/' }).end(body)
    })
    await test.rejects(explainByProxy('a/b', options), { message }, body.slice(0, 60))
  }
})

await t.test('a server that says nothing', async (test) => {
  const options = await serving(test, () => undefined)
  await test.rejects(explainByProxy('a/b', { ...options, timeoutMs: 50 }), {
    message: /^127.0.0.1:\d+ did not answer in 0.05 s$/,
  })
})
