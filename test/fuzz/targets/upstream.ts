/** The reader of upstream's answers, fast path and library, against a server that writes whatever bytes a case makes up. */
import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { RegistryError } from '../../../src/oci/errors.ts'
import { createBlobs } from '../../../src/upstream/blobs.ts'
import { createUpstreamClient } from '../../../src/upstream/client/client.ts'
import { createNetwork, type Network } from '../../../src/upstream/client/network.ts'
import type { Digest } from '../../../src/oci/reference.ts'
import type { OpenBlob } from '../../../src/oci/image-source.ts'
import type { Random } from '../random.ts'
import { must, type Running, type Target } from '../target.ts'

const crlf = '\r\n'

interface Script {
  readonly bytes: Buffer
  /** Behind the bytes. */
  readonly end: 'keep' | 'close' | 'reset'
  readonly pieces: number
  /**
   * `right`: the whole body must arrive. `wrong`: the request must fail. `either`: it may fail, but a body that ends without an error must
   * be the right one. `anything`: another body may arrive, because the answer itself announces it.
   */
  readonly expected: 'right' | 'wrong' | 'either' | 'anything'
}

const head = (fields: readonly string[], status = '200 OK'): string =>
  [`HTTP/1.1 ${status}`, ...fields, '', ''].join(crlf)

const chunked = (random: Random, body: Buffer): Buffer => {
  const parts: Buffer[] = []
  for (let at = 0; at < body.length;) {
    const size = Math.min(body.length - at, 1 + random.below(5000))
    const extension = random.pick(['', '', ';a=b', ';a="b"'])
    parts.push(
      Buffer.from(`${random.pick(['', '0', '000'])}${size.toString(16)}${extension}${crlf}`),
      body.subarray(at, at + size),
      Buffer.from(crlf),
    )
    at += size
  }
  return Buffer.concat([...parts, Buffer.from(`0${crlf}${random.pick(['', `X-Trailer: y${crlf}`])}${crlf}`)])
}

type Make = (random: Random, body: Buffer) => Pick<Script, 'bytes' | 'expected'> & Partial<Script>

const whole = (fields: readonly string[], body: Buffer, status?: string): Buffer =>
  Buffer.concat([Buffer.from(head(fields, status), 'latin1'), body])
const length = ({ length: bytes }: Buffer): string => `Content-Length: ${bytes}`

const right: readonly Make[] = [
  (_random, body) => ({ bytes: whole([length(body)], body), expected: 'right' }),
  (random, body) => ({
    bytes: whole(['Transfer-Encoding: chunked'], chunked(random, body)),
    expected: 'right',
  }),
  (random, body) => ({
    bytes: whole(
      [
        random.pick([`content-length:${body.length}`, `CONTENT-LENGTH:   ${body.length}  `]),
        'ETag: "x"',
        `X: ${'y'.repeat(random.below(3000))}`,
      ],
      body,
    ),
    expected: 'right',
  }),
  (random, body) => ({
    bytes: Buffer.concat([
      Buffer.from(head([], '103 Early Hints').repeat(1 + random.below(3))),
      whole([length(body)], body),
    ]),
    expected: 'right',
  }),
  (_random, body) => ({
    bytes: whole(['Connection: close', length(body)], body),
    end: 'close',
    expected: 'right',
  }),
  (_random, body) => ({ bytes: whole(['Connection: close'], body), end: 'close', expected: 'right' }),
  (_random, body) => ({
    bytes: whole(
      [length(body), 'Set-Cookie: a=b', 'Link: <x>', 'WWW-Authenticate: Basic realm="upstream"'],
      body,
    ),
    expected: 'right',
  }),
]

const odd: readonly Make[] = [
  // A body that ends too early.
  (random, body) => {
    const cut = random.below(body.length)
    return {
      bytes: whole([length(body)], body.subarray(0, cut)),
      end: random.pick(['close', 'reset']),
      expected: 'wrong',
    }
  },
  (random, body) => {
    const all = chunked(random, body)
    return {
      bytes: whole(['Transfer-Encoding: chunked'], all.subarray(0, random.below(all.length - 4))),
      end: random.pick(['close', 'reset']),
      expected: 'wrong',
    }
  },
  // Another answer, or whatever, behind it.
  (random, body) => ({
    bytes: Buffer.concat([
      whole([length(body)], body),
      random.pick([
        random.bytes(30),
        whole(['Content-Length: 5'], Buffer.from('wrong')),
        Buffer.from('\r\n'),
      ]),
    ]),
    expected: 'right',
  }),
  // Lengths and codings that are two things at once, or none.
  (random, body) => ({
    bytes: whole(
      random.pick([
        [length(body), `Content-Length: ${body.length + 1}`],
        [`Content-Length: ${body.length}, ${body.length}`],
        [`Content-Length: +${body.length}`],
        [`Content-Length: 0x${body.length.toString(16)}`],
        [`Content-Length: ${body.length}.0`],
        ['Content-Length: '],
        ['Content-Length: -1'],
        [length(body), 'Transfer-Encoding: identity'],
        [length(body), 'Transfer-Encoding: gzip'],
        [length(body), 'Transfer-Encoding: xchunked'],
        [`X: y${crlf} z`, length(body)],
        [`Content-Length:${crlf} ${body.length}`],
        [`Content-Length : ${body.length}`],
        [length(body), 'X: \0'],
        [length(body), ': y'],
        [length(body), 'no colon'],
      ]),
      body,
    ),
    end: 'close',
    expected: 'either',
  }),
  (random, body) => ({
    bytes: whole(
      random.chance(0.5)
        ? [length(body), 'Transfer-Encoding: chunked']
        : ['Transfer-Encoding: chunked', length(body)],
      chunked(random, body),
    ),
    end: 'close',
    expected: 'either',
  }),
  (random, body) => ({
    bytes: whole(
      ['Transfer-Encoding: chunked'],
      Buffer.concat([
        Buffer.from(random.pick(['+5', '0x5', '-1', 'ffffffffffffffff1', '5 5', ' 5', '', 'g', '5;\n'])),
        Buffer.from(crlf),
        body,
        Buffer.from(`${crlf}0${crlf}${crlf}`),
      ]),
    ),
    end: 'close',
    expected: 'wrong',
  }),
  // Bytes that no request belongs to.
  (random, body) => ({
    bytes: whole(
      [length(body), `Content-Encoding: ${random.pick(['gzip', 'br', 'x', 'gzip, identity'])}`],
      body,
    ),
    expected: 'wrong',
  }),
  (_random, body) => ({
    bytes: whole(
      [length(body), `Content-Range: bytes 0-${body.length - 1}/${body.length * 2}`],
      body,
      '206 Partial Content',
    ),
    expected: 'wrong',
  }),
  (_random, body) => ({
    bytes: whole([length(body), 'Content-Type: text/html; charset=utf-8'], body),
    expected: 'wrong',
  }),
  (random, body) => ({
    bytes: whole(
      [
        length(body),
        'WWW-Authenticate: Bearer realm="https://upstream.example/secret"',
        random.pick([
          'Location: file:///etc/passwd',
          'Location: http://u:p@127.0.0.1/',
          'Location: //',
          'X: y',
        ]),
      ],
      body,
      random.pick([
        '401 U',
        '403 F',
        '407 P',
        '500 E',
        '302 F',
        '307 F',
        '204 N',
        '203 N',
        '300 M',
        '101 S',
        '599 X',
        '999 X',
        '200',
        '099 X',
      ]),
    ),
    end: 'close',
    expected: 'anything',
  }),
  (random, body) => ({
    bytes: Buffer.concat([
      Buffer.from(
        random.pick([
          'ICY 200 OK',
          'HTTP/2 200 OK',
          'HTTP/1.1  200 OK',
          'http/1.1 200 OK',
          '\r\n\r\nHTTP/1.1 200 OK',
          'HTTP/1.12 200 OK',
        ]),
      ),
      Buffer.from(crlf),
      Buffer.from(`${length(body)}${crlf}${crlf}`),
      body,
    ]),
    end: 'close',
    expected: 'either',
  }),
  (random, body) => ({
    bytes: random.mutated(Buffer.from(head([length(body), 'ETag: "x"', 'Content-Type: a/b']))),
    end: 'close',
    expected: 'anything',
  }),
  (random, body) => ({
    bytes: Buffer.concat([random.mutated(Buffer.from(head([length(body)]))), body]),
    end: 'close',
    expected: 'anything',
  }),
  (random) => ({ bytes: random.bytes(random.below(300)), end: 'close', expected: 'wrong' }),
]

const scriptOf = (random: Random, body: Buffer): Script => {
  const made = random.pick(random.chance(0.25) ? right : odd)(random, body)
  return { end: 'keep', pieces: random.pick([1, 1, 2, 5, 50]), ...made }
}

interface Scripted {
  readonly url: URL
  /** By the last part of the path. */
  readonly scripts: Map<string, Script>
  readonly close: () => void
}

/** Each request is answered with what its path stands for. */
const startScripted = async (): Promise<Scripted> => {
  const scripts = new Map<string, Script>()
  const sockets = new Set<Socket>()
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => sockets.delete(socket))
    let text = ''
    socket.on('data', (bytes) => {
      text += bytes.toString('latin1')
      for (let end = text.indexOf('\r\n\r\n'); end >= 0; end = text.indexOf('\r\n\r\n')) {
        const [target = ''] = /sha256:[a-f0-9]{64}/.exec(text.slice(0, end)) ?? []
        text = text.slice(end + 4)
        const script = scripts.get(target)
        if (script === undefined) socket.destroy()
        else play(socket, script)
      }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const close = () => {
    server.close()
    for (const socket of sockets) socket.destroy()
  }
  return { url: new URL(`http://127.0.0.1:${port}`), scripts, close }
}

const play = (socket: Socket, { bytes, end, pieces }: Script): void => {
  const size = Math.ceil(bytes.length / pieces) || 1
  const next = (at: number): void => {
    if (socket.destroyed) return
    if (at < bytes.length) {
      socket.write(bytes.subarray(at, at + size), () => setImmediate(() => next(at + size)))
      return
    }
    if (end === 'close') socket.end()
    if (end === 'reset') socket.resetAndDestroy()
  }
  next(0)
}

/** What of upstream's head may be passed on. */
const passedOn = ['content-length', 'content-type', 'content-range', 'accept-ranges', 'etag', 'last-modified']

const read = async (openBlob: OpenBlob, digest: Digest): Promise<Buffer | RegistryError> => {
  const pieces: Buffer[] = []
  try {
    const { status, headers, body } = await openBlob({
      method: 'GET',
      digest,
      range: undefined,
      ifRange: undefined,
      requester: 'fuzz',
    })
    must(status === 200, 'what was asked for as a whole comes as a whole', status)
    must(
      Object.keys(headers).every((name) => passedOn.includes(name)),
      'nothing of upstream passes but what concerns the bytes',
      headers,
    )
    await body?.pipeTo((piece, written) => {
      pieces.push(Buffer.from(piece))
      written()
    })
    const announced = headers['content-length']
    const content = Buffer.concat(pieces)
    must(
      announced === undefined || Number(announced) === content.length,
      'as many bytes come as were announced',
      headers,
    )
    return content
  } catch (error) {
    if (error instanceof RegistryError) return error
    throw error
  }
}

class Upstreams implements Running {
  readonly #scripted: Scripted
  readonly #network: Network
  readonly #openBlob: OpenBlob

  constructor(scripted: Scripted) {
    this.#scripted = scripted
    const origin = scripted.url
    this.#network = createNetwork({
      origin,
      maxConnections: 20,
      observe: () => undefined,
      // As long as is needed on a busy machine, and not as long as a case may take.
      timeouts: { connect: 5000, head: 5000, body: 5000, total: 10_000 },
    })
    const lease = { authorization: undefined, rejected: async () => undefined }
    this.#openBlob = createBlobs({
      send: createUpstreamClient({
        origin,
        network: this.#network,
        robot: { acquire: async () => lease },
        onRefused: () => undefined,
      }),
      repository: 'openshift/ci',
      delivery: 'stream',
    })
  }

  async run(random: Random): Promise<void> {
    const body = random.bytes(1 + random.below(random.pick([10, 2000, 20_000])))
    const script = scriptOf(random, body)
    await this.#check(random.digest() as Digest, body, script)
    // Whatever it left behind on its connection.
    const next = random.bytes(100)
    await this.#check(random.digest() as Digest, next, {
      bytes: whole([length(next)], next),
      end: 'keep',
      pieces: 1,
      expected: 'right',
    })
  }

  async #check(digest: Digest, body: Buffer, script: Script): Promise<void> {
    const { scripts } = this.#scripted
    scripts.set(digest, script)
    const outcome = await read(this.#openBlob, digest)
    scripts.delete(digest)
    const said = { script: script.bytes.toString('latin1', 0, 400), end: script.end, pieces: script.pieces }
    if (outcome instanceof RegistryError) {
      must(script.expected !== 'right', 'a right answer is passed on', {
        ...said,
        error: outcome.message,
        cause: String(outcome.cause),
      })
      must(
        outcome.status !== 401 && outcome.status !== 500,
        'an error is of upstream, not of the client',
        outcome.status,
      )
      must(
        !JSON.stringify([outcome.message, outcome.headers]).includes('upstream.example'),
        "upstream's challenge is upstream's",
        outcome.headers,
      )
      return
    }
    must(script.expected !== 'wrong', 'what is not whole does not end well', said)
    if (script.expected !== 'anything')
      must(outcome.equals(body), 'what ends well is the body', {
        ...said,
        outcome: outcome.toString('latin1', 0, 200),
      })
  }

  async close(): Promise<void> {
    await this.#network.close()
    this.#scripted.close()
  }
}

export const upstream: Target = {
  name: 'upstream',
  about: 'no client receives a whole wrong body, nor a field of upstream; the next answer is right',
  parallel: 8,
  start: async () => new Upstreams(await startScripted()),
}
