/**
 * Clients that request too much at once. Other clients must not notice it.
 */
import { once } from 'node:events'
import { connect } from 'node:net'
import { smallImage } from '../sandbox/quay/quay-client.ts'
import { accept, scenario, type Scenario } from './scenario.ts'

const dial = (s: Scenario) => {
  const { hostname, port } = new URL(s.url)
  return connect(Number(port), hostname).on('error', () => undefined)
}

const ended = (socket: ReturnType<typeof dial>) => new Promise((resolve) => socket.once('close', resolve))

const get = (path: string, token: string) =>
  `GET ${path} HTTP/1.1\r\nHost: x\r\nAccept: ${accept}\r\nAuthorization: Bearer ${token}\r\n\r\n`

const pulls = async (s: Scenario): Promise<number> =>
  (await s.ask('/v2/ocp/4.5/manifests/base', { token: s.alice, headers: { accept } })).status

await scenario('attack: ten thousand pipelined manifests, by a client that reads none', async (t, s) => {
  const before = s.upstreamRequests()
  const socket = dial(s)
  socket.pause()
  socket.write(get('/v2/ocp/4.5/manifests/base', s.alice).repeat(10_000))
  const closed = ended(socket)
  t.equal(await pulls(s), 200, 'the others pull on')
  socket.resume()
  await closed
  t.ok(s.upstreamRequests() - before < 10, 'nothing was begun for those that wait')
  t.ok(s.lines().length < 40, 'nor written down')
  t.match(
    s.lines().filter(({ msg }) => msg === 'connection cut'),
    [{ reason: 'pipelined' }],
  )
})

await scenario(
  'two blobs on one connection, and the client disconnects: the second is not begun',
  async (t, s) => {
    const [layer = ''] = s.stock.openLayers
    s.quay.fault({ origin: 'cdn', path: /./, stallAfterBytes: 1000 })
    const socket = dial(s)
    socket.write(get(`/v2/openshift/ci/blobs/${layer}`, s.alice).repeat(2))
    await once(socket, 'data')
    socket.resetAndDestroy()
    while (!s.lines().some(({ msg, aborted }) => msg === 'request' && aborted === true))
      await new Promise((resolve) => setTimeout(resolve, 5))
    t.equal(s.quay.requests.filter(({ origin }) => origin === 'cdn').length, 1)
    const streams = await s.metrics()
    t.match(streams, /^quay_proxy_streams_in_flight 0$/m)
  },
)

await scenario('slow-loris: hundreds of slow connections delay no one', async (t, s) => {
  const silent = Array.from({ length: 300 }, () => dial(s))
  await Promise.all(silent.map(async (socket) => await once(socket, 'connect')))
  for (const socket of silent) socket.write('GET /v2/ HTTP/1.1\r\nx: ')
  t.equal(await pulls(s), 200)
  t.equal((await s.ask('/healthz')).status, 200)
  for (const socket of silent) socket.destroy()
})

await scenario(
  'a head of 100 kB, of a known client: 400 in OCI JSON, and the connection ends',
  async (t, s) => {
    const answer = await s.raw(
      `GET /v2/ HTTP/1.1\r\nAuthorization: Bearer ${s.alice}\r\nx: ${'a'.repeat(100_000)}\r\n\r\n`,
    )
    t.match(answer, /^HTTP\/1.1 400 [^]*application\/json[^]*"code":"UNSUPPORTED"/)
    t.equal(await pulls(s), 200)
  },
)

await scenario(
  'attack: one person opens blobs on all connections and reads none; another pulls on',
  async (t, s) => {
    const [layer = ''] = s.stock.openLayers
    const path = `/v2/openshift/ci/blobs/${layer}`
    const hex = layer.slice('sha256:'.length)
    s.quay.tag('ocp_4.5_other', await smallImage())
    s.quay.fault({ origin: 'cdn', path: new RegExp(hex), stallAfterBytes: 1000, count: Infinity })
    const greedy = Array.from({ length: 20 }, () => dial(s))
    for (const socket of greedy) socket.write(get(path, s.alice))
    const begun = () =>
      s.quay.requests.filter(({ origin, url }) => origin === 'cdn' && url.includes(hex)).length
    while (begun() < 6) await new Promise((resolve) => setTimeout(resolve, 5))
    const bob = s.remember(s.kubernetes.issueUserToken({ username: 'bob', groups: ['qci-image-pullers'] }))
    await s.pull({ repository: 'ocp/4.5', reference: 'other', username: 'x', password: bob })
    t.equal(begun(), 6, 'and the others of the greedy one wait')
    s.quay.clearFaults()
    for (const socket of greedy) socket.destroy()
    while (!/^quay_proxy_streams_in_flight 0$/m.test(await s.metrics()))
      await new Promise((resolve) => setTimeout(resolve, 5))
    t.equal((await s.ask(path, { token: s.alice })).status, 200, 'and has places again')
  },
  ['--max-upstream-connections=8'],
)
