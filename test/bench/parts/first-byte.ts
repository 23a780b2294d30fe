/** How much later a blob begins when something stands in the middle. */
import { createHash } from 'node:crypto'
import { Agent, request, type IncomingMessage } from 'node:http'
import { once } from 'node:events'
import { startStreamingNginx } from '../peers/nginx.ts'
import { milliseconds, type Part, type Section, type Setting } from '../section.ts'
import { percentile } from '../statistics.ts'
import { startAppCi } from '../system/app-ci.ts'
import { startOrigin, type File } from '../system/origin.ts'
import { scratch } from '../system/processes.ts'
import { startProxy } from '../system/proxy.ts'

const rounds = 6
const requestsPerRound = 100

/** Milliseconds from the request to the first byte of the body. @throws {Error} where it is not the blob */
const timeOf = async (agent: Agent, url: string, token: string, { digest }: File): Promise<number> => {
  const began = performance.now()
  const asked = request(url, { agent, headers: { authorization: `Bearer ${token}` } }).end()
  const [response] = (await once(asked, 'response')) as [IncomingMessage]
  const hash = createHash('sha256')
  let elapsed = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    if (elapsed === 0) elapsed = performance.now() - began
    hash.update(chunk)
  }
  const arrived = `sha256:${hash.digest('hex')}`
  if (arrived !== digest) throw new Error(`${url}: ${response.statusCode} ${arrived}`)
  return elapsed
}

const run = async ({ main, say }: Setting): Promise<Section> => {
  await using directory = await scratch()
  await using origin = await startOrigin(directory.path, 1e6)
  await using appCi = await startAppCi()
  await using proxy = await startProxy({ main, directory: directory.path, appCi, upstream: origin.url })
  await using nginx = await startStreamingNginx(directory.path, origin, 'http')
  const sides = [
    { label: 'no proxy', url: origin.url },
    { label: 'nginx proxy_pass', url: nginx.url },
    { label: 'quay-proxy', url: proxy.url },
  ].map((side) => ({ ...side, agent: new Agent({ keepAlive: true, maxSockets: 1 }), seen: [] as number[] }))
  say(`${rounds} rounds of ${requestsPerRound} requests`)
  // The first round is for warmth.
  for (let round = 0; round <= rounds; round++)
    for (const { url, agent, seen } of sides)
      for (let asked = 0; asked < requestsPerRound; asked++) {
        const elapsed = await timeOf(agent, url + origin.small.path, appCi.longToken, origin.small)
        if (round > 0) seen.push(elapsed)
      }
  for (const { agent } of sides) agent.destroy()
  const direct = sides[0]!.seen
  const figures = [50, 99].map((rank) => ({ rank, base: percentile(direct, rank) }))
  return {
    tables: [
      {
        columns: ['16 KiB blob', 'p50', 'p99', 'added at p50', 'added at p99'],
        rows: sides.map(({ label, seen }) => [
          label,
          ...figures.map(({ rank }) => milliseconds(percentile(seen, rank))),
          ...figures.map(({ rank, base }) => milliseconds(percentile(seen, rank) - base)),
        ]),
      },
    ],
    outcomes: [],
  }
}

export const firstByte: Part = {
  name: 'first-byte',
  title: 'Time to the first byte',
  about: `From the request for a small blob to the first byte of its body, one request after the other on one connection:
${rounds} alternating rounds of ${requestsPerRound} after one for warmth, all requests together. The difference to asking the origin
itself is what the one in the middle adds. There is no target; what the proxy adds to a pull over the internet is to be nothing beside
its round trip.`,
  run,
}
