import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { mirrorUserAgent } from '../../../src/config/version.ts'
import { askService } from '../../../src/mirror/commands/service-client.ts'

await t.test('answers, refusals, and a service that cannot be reached', async (t) => {
  const paths: string[] = []
  const userAgents: unknown[] = []
  const server = createServer((request, response) => {
    paths.push(`${request.method} ${request.url}`)
    userAgents.push(request.headers['user-agent'])
    if (request.method === 'GET') response.end('{"state":"same"}')
    else response.writeHead(409).end('no\u001b[31m\n')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  t.match(await askService(url, 'GET', 'a/b:c d'), { state: 'same' })
  t.equal(await askService(url, 'POST', 'a/b:c'), 'no?[31m', 'attack: no control characters')
  t.strictSame(paths, ['GET /api/v1/mirrors/a/b%3Ac%20d', 'POST /api/v1/mirrors/a/b%3Ac/sync'])
  t.strictSame(userAgents, [`${mirrorUserAgent} (explain)`, `${mirrorUserAgent} (sync)`])
  server.closeAllConnections()
  server.close()
  await once(server, 'close')
  await t.rejects(
    askService(url, 'GET', 'a/b:c'),
    /^the service at http:\/\/127\.0\.0\.1:\d+ does not answer: ./,
  )
  await t.rejects(
    askService(new URL('http://u:p@127.0.0.1:9'), 'GET', 'a/b:c'),
    /^the service at http:\/\/127\.0\.0\.1:9 does not answer: ./,
    'also where fetch gives no cause',
  )
})
