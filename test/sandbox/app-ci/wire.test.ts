import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import type { Test } from 'tap'
import { readBody, send, sendFault, tooLarge } from '../../../src/sandbox/app-ci/wire.ts'

const serve = async (test: Test, handle: RequestListener): Promise<string> => {
  const server = createServer(handle).listen(0, '127.0.0.1')
  await once(server, 'listening')
  test.teardown(() => server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

await t.test('a body is read up to the bound of the API server', async (test) => {
  const lengths: (number | undefined)[] = []
  const answer = async (...[request, response]: Parameters<RequestListener>) => {
    const body = await readBody(request)
    lengths.push(body?.length)
    send(response, body === undefined ? tooLarge() : { status: 200, body: 'ok' })
  }
  const url = await serve(test, (request, response) => void answer(request, response))
  const post = async (bytes: number) => await fetch(url, { method: 'POST', body: 'x'.repeat(bytes) })
  const bound = 3 * 1024 * 1024
  const fits = await post(bound)
  test.equal(await fits.text(), 'ok')
  test.match(fits.headers.get('content-type'), 'text/plain')
  const refused = await post(bound + 1)
  test.equal(refused.status, 413)
  test.match(await refused.json(), { kind: 'Status', reason: 'RequestEntityTooLarge' })
  test.strictSame(lengths, [bound, undefined])
})

await t.test('a fault is a Status like any other', async (test) => {
  const faults = [
    { kind: 'status' },
    { kind: 'status', status: 429, retryAfterSeconds: 7 },
    { kind: 'status', status: 418 },
  ] as const
  let next = 0
  const url = await serve(test, (_request, response) => sendFault(response, faults[next++]!))
  for (const [status, reason, retryAfter] of [
    [503, 'ServiceUnavailable', null],
    [429, 'TooManyRequests', '7'],
    [418, 'Unknown', null],
  ] as const) {
    const answer = await fetch(url)
    test.equal(answer.status, status)
    test.equal(answer.headers.get('retry-after'), retryAfter)
    test.equal(answer.headers.get('content-type'), 'application/json')
    test.match(await answer.json(), { kind: 'Status', code: status, reason })
  }
})
