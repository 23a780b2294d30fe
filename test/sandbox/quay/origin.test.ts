import { once } from 'node:events'
import { connect } from 'node:net'
import t from 'tap'
import type { Test } from 'tap'
import { Agent, request } from 'undici'
import type { Answer } from '../../../src/sandbox/quay/answers.ts'
import { Faults } from '../../../src/sandbox/quay/faults.ts'
import type { FaultRule } from '../../../src/sandbox/quay/faults.ts'
import { startOrigin } from '../../../src/sandbox/quay/origin.ts'
import type { Exchange, Origin, RecordedRequest, TlsOptions } from '../../../src/sandbox/quay/origin.ts'
import { ask } from './quay-client.ts'
import { selfSigned } from '../../support/tls.ts'

type Rule = Omit<FaultRule, 'origin' | 'path'>

function handle({ url }: Exchange): Answer {
  return { status: 200, body: [Buffer.from(url.href)] }
}

async function start(
  test: Test,
  rule?: Rule,
  tls?: TlsOptions,
): Promise<{ origin: Origin; requests: RecordedRequest[]; answered: RecordedRequest[] }> {
  const faults = new Faults()
  const requests: RecordedRequest[] = []
  if (rule !== undefined) faults.add({ origin: 'cdn', path: /./, ...rule })
  const answered: RecordedRequest[] = []
  const onAnswer = (request: RecordedRequest) => void answered.push(request)
  const options = { name: 'cdn', host: 'localhost', tls, faults, requests, onAnswer } as const
  const origin = await startOrigin({ ...options, handle })
  test.teardown(() => origin.close())
  return { origin, requests, answered }
}

await t.test('a request is recorded with its answer', async (test) => {
  const { origin, requests, answered } = await start(test)
  const reply = await ask(`${origin.url}/a?b=c`, { 'x-y': 'z' })
  test.match(origin.url, /^http:\/\/localhost:\d+$/)
  test.equal(String(reply.body), `${origin.url}/a?b=c`)
  test.match(requests, [
    { origin: 'cdn', method: 'GET', url: '/a?b=c', headers: { 'x-y': 'z' }, status: 200 },
  ])
  test.strictSame(answered, requests)
})

await t.test('a header of 25 kB gets through, as a pull of 1024 ranges sends it', async (test) => {
  const { origin } = await start(test)
  test.equal((await ask(origin.url, { range: `bytes=${'1000-2000,'.repeat(2500)}1-2` })).status, 200)
})

await t.test('a target that is no path is a 400', async (test) => {
  const { origin, requests } = await start(test)
  const socket = connect(Number(new URL(origin.url).port), '127.0.0.1')
  socket.write('GET http://elsewhere/ HTTP/1.1\r\nHost: x\r\n\r\n')
  const [head] = (await once(socket, 'data')) as [Buffer]
  test.match(head.toString(), /^HTTP\/1.1 400 /)
  test.match(requests, [{ url: 'http://elsewhere/', status: 400 }])
})

await t.test('delay, then the answer', async (test) => {
  const { origin } = await start(test, { delayMs: 100 })
  // As long, from before: the origin's timer is of the same clock, and cannot be over first.
  let isOver = false
  setTimeout(() => (isOver = true), 100)
  test.equal((await ask(origin.url)).status, 200)
  test.ok(isOver)
})

await t.test('reset, and a hook that throws: no answer, a dead socket', async (test) => {
  const rules: Rule[] = [
    { reset: true },
    {
      raw: () => {
        throw new Error('broken on purpose')
      },
    },
  ]
  for (const rule of rules) {
    const { origin, requests } = await start(test, rule)
    await test.rejects(ask(origin.url), { code: 'UND_ERR_SOCKET' })
    test.match(requests, [{ status: 0 }])
    test.equal((await ask(origin.url)).status, 200, 'the next request is answered')
  }
})

await t.test('a hook takes over', async (test) => {
  const { origin } = await start(test, { raw: (_request, response) => void response.writeHead(418).end() })
  test.equal((await ask(origin.url)).status, 418)
})

await t.test('a hanging request ends with close', async (test) => {
  const { origin, requests } = await start(test, { hang: true })
  const hanging = test.rejects(ask(origin.url), { code: 'UND_ERR_SOCKET' })
  while (requests.length === 0) await new Promise((resolve) => setImmediate(resolve))
  await origin.close()
  await hanging
  test.match(requests, [{ status: 0 }])
  await test.rejects(ask(origin.url))
})

await t.test('an error status of nginx', async (test) => {
  const { origin, requests } = await start(test, { status: 502 })
  test.match(await ask(origin.url), { status: 502, headers: { 'content-type': 'text/html' } })
  test.match(requests, [{ status: 502 }])
})

await t.test('with a key pair it serves https, and a cut looks the same', async (test) => {
  const tls = selfSigned()
  const { origin } = await start(test, { cutAfterBytes: 5 }, tls)
  test.match(origin.url, /^https:/)
  const dispatcher = new Agent({ connect: { ca: tls.cert } })
  test.teardown(() => dispatcher.destroy())
  const cut = await request(origin.url, { dispatcher })
  await test.rejects(cut.body.text())
  const whole = await request(origin.url, { dispatcher })
  test.equal(await whole.body.text(), `${origin.url}/`)
})

await t.test('a request goes unrecorded where nobody wants it', async (test) => {
  const addresses: (string | undefined)[] = []
  const origin = await startOrigin({
    name: 'cdn',
    host: 'localhost',
    faults: new Faults(),
    handle: (exchange) => {
      addresses.push(exchange.address)
      return handle(exchange)
    },
  })
  test.teardown(() => origin.close())
  test.equal((await ask(origin.url)).status, 200)
  test.strictSame(addresses, ['127.0.0.1'])
})

await t.test('the body of a push is handed over', async (test) => {
  const origin = await startOrigin({
    name: 'quay',
    host: '127.0.0.1',
    faults: new Faults(),
    handle: ({ body }) => ({ status: 200, body: [body] }),
  })
  test.teardown(() => origin.close())
  for (const [method, expected] of [
    ['PUT', 'abc'],
    ['DELETE', ''],
  ] as const) {
    const reply = await request(origin.url, { method, body: 'abc' })
    test.equal(await reply.body.text(), expected)
  }
})
