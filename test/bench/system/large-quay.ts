/**
 * A quay of QCI's size in a process of its own. It prints its address, and reports its requests over HTTP. Its rate limits are those of
 * quay.io.
 */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import type { CollationName } from '../../../src/sandbox/quay/collation.ts'
import type { Robot } from '../../../src/sandbox/quay/tokens.ts'
import { createLargeQuay } from '../../sandbox/quay/large-quay.ts'

export interface LargeQuayInput {
  readonly repository: string
  readonly robot: Robot
  readonly tags: number
  readonly restrictedLive: number
  readonly restrictedDated: number
  readonly collation: CollationName
}

export interface LargeQuayReport {
  readonly url: string
  /** Answers each GET with its `RequestCounts`. */
  readonly countsUrl: string
  readonly buildSeconds: number
}

const input = JSON.parse(process.env['BENCH_INPUT'] ?? '{}') as LargeQuayInput
const began = performance.now()
// A large quay stores no requests: there are hundreds of thousands.
const { quay } = await createLargeQuay({ ...input, limits: true, keepRequests: false })
const counts: Server = createServer((_request, response) => response.end(JSON.stringify(quay.counts)))
counts.listen(0, '127.0.0.1')
await once(counts, 'listening')
const { port } = counts.address() as AddressInfo
const report: LargeQuayReport = {
  url: quay.url,
  countsUrl: `http://127.0.0.1:${port}`,
  buildSeconds: (performance.now() - began) / 1000,
}
process.stdout.write(`${JSON.stringify(report)}\n`)
