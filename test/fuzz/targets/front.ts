/** The front door: bytes of all kinds on its socket. */
import { setTimeout as sleep } from 'node:timers/promises'
import { answersIn, exchange, mustBeOci } from '../exchange.ts'
import type { Random } from '../random.ts'
import { startSystem, type System } from '../system.ts'
import { must, type Running, type Target } from '../target.ts'
import { binaryHeader, textHeader } from '../../server/proxy-headers.ts'

const crlf = '\r\n'
/** Connections from there begin with a header of the PROXY protocol. */
const loadBalancer = '127.0.0.2'

/** A request that asks for an image of a namespace, as alice. */
const request = (namespace: string, token: string, more: readonly string[] = []): string =>
  [
    `GET /v2/${namespace}/x/manifests/latest HTTP/1.1`,
    'Host: x',
    `Authorization: Bearer ${token}`,
    ...more,
    '',
    '',
  ].join(crlf)

const chunk = (text: string, extension = ''): string =>
  `${text.length.toString(16)}${extension}${crlf}${text}${crlf}`

/** Ways to hide a request in another one. By the RFC, the hidden request is part of a body, or of a request that must be refused. */
const hidings: readonly ((random: Random, hidden: string, token: string) => string)[] = [
  // In a body that has a length.
  (_random, hidden, token) => request('open', token, [`Content-Length: ${hidden.length}`]) + hidden,
  (_random, hidden, token) =>
    request('open', token, ['Transfer-Encoding: chunked']) + chunk(hidden) + chunk(''),
  (random, hidden, token) =>
    request('open', token, ['Transfer-Encoding: chunked']) +
    chunk(hidden, random.pick([';a=b', ';a="\\""', `;${'x'.repeat(100)}`, ' ;a', ';a=b\n'])) +
    chunk(''),
  // Of two lengths each is somebody's.
  (random, hidden, token) =>
    request(
      'open',
      token,
      random.pick([
        [`Content-Length: ${hidden.length}`, 'Content-Length: 0'],
        ['Content-Length: 0', `Content-Length: ${hidden.length}`],
        [`Content-Length: ${hidden.length}, 0`],
        [`Content-Length: 0, ${hidden.length}`],
        [`Content-Length: +${hidden.length}`],
        [`Content-Length: 0x${hidden.length.toString(16)}`],
        [`Content-Length: ${hidden.length}.0`],
        ['Content-Length: -1'],
        ['Content-Length: 1'.padEnd(40, '0')],
        [`Content-Length : ${hidden.length}`],
        [` Content-Length: ${hidden.length}`],
        [`X: y${crlf} z`, `Content-Length:${crlf} ${hidden.length}`],
        [`Content-Length: \v${hidden.length}`],
      ]),
    ) + hidden,
  (random, hidden, token) => {
    const coding = random.pick([
      'Transfer-Encoding: xchunked',
      'Transfer-Encoding : chunked',
      'Transfer-Encoding: chunked, identity',
      'Transfer-Encoding: identity, chunked',
      'Transfer-Encoding: gzip',
      'Transfer-Encoding: \vchunked',
      'Transfer-Encoding: "chunked"',
      `Transfer-Encoding:${crlf} chunked`,
      `Transfer-Encoding: chunked${crlf}Transfer-Encoding: identity`,
      'Transfer-Encoding: chunked',
    ])
    // A request with two readings: in one the body ends before the hidden request, in the other after it.
    return (
      request(
        'open',
        token,
        random.chance(0.5)
          ? [coding, `Content-Length: ${chunk('').length}`]
          : [`Content-Length: ${chunk('').length}`, coding],
      ) +
      chunk('') +
      hidden
    )
  },
  (random, hidden, token) =>
    request('open', token, ['Transfer-Encoding: chunked']) +
    random.pick([
      '5\n12345\n0\n\n',
      `ffffffffffffffff1${crlf}`,
      `-1${crlf}`,
      `+0${crlf}`,
      `0x0${crlf}`,
      `5${crlf}123456${crlf}0${crlf}${crlf}`,
      `${crlf}0${crlf}`,
      ` ${crlf}`,
    ]) +
    hidden,
  // In a head that is no head.
  (random, hidden, token) =>
    request('open', token, [
      `X: ${random.pick(['\r', '\n', '\0', '\r\r\n', '\x7f\n', `${crlf} `])}${hidden}`,
    ]),
  (random, hidden) => `GET http://${random.pick(['127.0.0.1', 'quay.io', 'x'])}${hidden.slice(4)}`,
  (_random, hidden, token) =>
    `CONNECT quay.io:443 HTTP/1.1${crlf}Host: x${crlf}Authorization: Bearer ${token}${crlf}${crlf}${hidden}`,
  (_random, hidden) => `PRI * HTTP/2.0${crlf}${crlf}SM${crlf}${crlf}${hidden}`,
  (random, hidden) =>
    Buffer.concat([Buffer.from([0x16, 3, 1, 2, 0]), random.bytes(40)]).toString('latin1') + hidden,
  (_random, hidden) => textHeader('192.0.2.7').toString('latin1') + hidden,
  (random, hidden) =>
    binaryHeader({ source: '192.0.2.7', more: random.bytes(10) }).toString('latin1') + hidden,
  // Half a head, and nothing more.
  (random, hidden) => hidden.slice(0, random.below(hidden.length - 3)),
  // A connection that takes no further request.
  (_random, hidden, token) => request('open', token, ['Connection: close']) + hidden,
  (random, hidden, token) =>
    request('open', token, [`Expect: ${random.pick(['200-ok', 'x'])}`, `Content-Length: ${hidden.length}`]) +
    hidden,
]

/** Whatever a mutation makes of some requests. */
const noise = (random: Random, token: string): Buffer => {
  const requests = Array.from({ length: 1 + random.below(25) }, () =>
    request(
      random.pick(['open', 'ocp', '-', 'a_b', '..']),
      token,
      random.pick([[], ['Content-Length: 0'], ['Range: bytes=0-']]),
    ),
  )
  return random.mutated(Buffer.from(requests.join(''), 'latin1'), random.below(6))
}

const inPieces = (random: Random, bytes: Buffer): Buffer[] => {
  const cuts = Array.from({ length: random.pick([0, 0, 1, 3]) }, () =>
    random.below(bytes.length + 1),
  ).toSorted((a, b) => a - b)
  return [0, ...cuts].map((begin, index) => bytes.subarray(begin, cuts[index] ?? bytes.length))
}

class Front implements Running {
  readonly #plain: System
  readonly #proxied: System

  constructor(plain: System, proxied: System) {
    this.#plain = plain
    this.#proxied = proxied
  }

  async run(random: Random, seed: number): Promise<void> {
    const kind = random.below(4)
    if (kind < 2) await this.#hidden(random, seed)
    else if (kind === 2) await this.#noise(random)
    else await this.#introduced(random, seed)
    if (random.chance(0.2)) await this.#othersAreServed()
  }

  async close(): Promise<void> {
    await sleep(50)
    const found = [this.#plain, this.#proxied].flatMap(({ log }) =>
      log.filter((line) => line.includes('hidden-')),
    )
    await Promise.all([this.#plain.close(), this.#proxied.close()])
    must(found.length === 0, 'no hidden request was ever served', found)
  }

  async #hidden(random: Random, seed: number): Promise<void> {
    const { alice, url, log } = this.#plain
    const hidden = request(`hidden-${seed}`, alice)
    const bytes = Buffer.from(random.pick(hidings)(random, hidden, alice), 'latin1')
    await send(url, random, bytes)
    const served = log.find((line) => line.includes(`hidden-${seed}`))
    must(served === undefined, 'a request that was not sent as one is none', {
      served,
      bytes: bytes.toString('latin1'),
    })
    forget(log)
  }

  async #noise(random: Random): Promise<void> {
    await send(this.#plain.url, random, noise(random, this.#plain.alice))
    forget(this.#plain.log)
  }

  /** Behind a load balancer that names the client: a request without that header, or with half of it, is not accepted. */
  async #introduced(random: Random, seed: number): Promise<void> {
    const { alice, url, log } = this.#proxied
    const source = random.pick(['192.0.2.7', '2001:db8::7'])
    const header = random.pick([
      textHeader(source),
      binaryHeader({ source, more: random.bytes(random.below(30)) }),
    ])
    const isWhole = random.chance(0.3)
    const namespace = isWhole ? 'ocp' : `hidden-${seed}`
    const sent = Buffer.from(request(namespace, alice, ['Connection: close']))
    const begun = isWhole
      ? header
      : random.pick([
          Buffer.alloc(0),
          header.subarray(0, random.below(header.length - 1)),
          Buffer.concat([Buffer.from(random.pick([' ', '\n', 'X', '\0'])), header]),
        ])
    const answers = await send(url, random, Buffer.concat([begun, sent]), loadBalancer)
    const line = log.find((text) => text.includes(`hidden-${seed}`))
    must(line === undefined, 'nobody is served who was not introduced', {
      line,
      begun: begun.toString('hex'),
    })
    if (isWhole)
      must(
        answers.length === 1 && log.some((text) => text.includes(`"client":"${source}"`)),
        'who was introduced is served, by the address',
        answers.length,
      )
    else
      must(
        answers.every(({ status }) => status >= 400),
        'nor answered',
        answers.map(({ status }) => status),
      )
    forget(log)
  }

  async #othersAreServed(): Promise<void> {
    const { url, alice } = this.#plain
    const headers = { authorization: `Bearer ${alice}` }
    const { status } = await fetch(`${url}/v2/`, { headers, signal: AbortSignal.timeout(5000) })
    must(status === 200, 'others are served', status)
  }
}

const send = async (url: string, random: Random, bytes: Buffer, localAddress = '127.0.0.1') => {
  const { received, isClosed } = await exchange(url, inPieces(random, bytes), { localAddress })
  must(isClosed, 'who has said all is answered, and the connection closed', bytes.toString('latin1'))
  const answers = answersIn(received)
  answers.forEach(mustBeOci)
  return answers
}

/** What was looked at; what names a hidden request stays. */
const forget = (log: string[]): void => {
  if (log.length > 500)
    log
      .splice(0, 400)
      .filter((line) => line.includes('hidden-'))
      .forEach((line) => log.push(line))
}

export const front: Target = {
  name: 'front',
  about: 'no request is served that was not sent as one; an answer is OCI JSON or a close; others are served',
  parallel: 24,
  start: async () =>
    new Front(
      await startSystem(),
      await startSystem(['--proxy-protocol', `--trusted-proxies=${loadBalancer}`]),
    ),
}
