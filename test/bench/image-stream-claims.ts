/**
 * Measures the bytes of memory for each digest that ImageStreams claim: `node --expose-gc test/bench/image-stream-claims.ts`. The comment
 * of src/digests/image-stream-claims.ts has the results.
 */
import { randomBytes } from 'node:crypto'
import { createImageStreamClaims } from '../../src/digests/image-stream-claims.ts'
import { parseDigest } from '../../src/oci/reference.ts'

const digests = 500_000
const streams = 10_000

const heapUsed = (): number => {
  globalThis.gc?.()
  return process.memoryUsage().heapUsed
}

/** @param places image streams of a digest, on average */
const measure = (places: number): void => {
  const before = heapUsed()
  const index = createImageStreamClaims({ isRestricted: () => false })
  const each = digests / streams
  let shared = [parseDigest(`sha256:${randomBytes(32).toString('hex')}`)]
  const began = performance.now()
  for (let stream = 0; stream < streams; stream++) {
    const own = Array.from({ length: each }, () => parseDigest(`sha256:${randomBytes(32).toString('hex')}`))
    const again = shared.slice(0, Math.round(each * (places - 1)))
    index.put(
      { namespace: `namespace-${stream % 500}`, name: `stream-${stream}` },
      [...own, ...again].map((digest) => ({ digest, tag: 'latest' })),
    )
    shared = own
  }
  const seconds = (performance.now() - began) / 1000
  shared = []
  const bytes = heapUsed() - before
  const { digests: known } = index.counts()
  process.stdout.write(
    `${known} digests in ${places} streams each: ${Math.round(bytes / known)} bytes per digest, ${(bytes / 2 ** 20).toFixed(1)} MiB, filled in ${seconds.toFixed(1)} s\n`,
  )
}

if (globalThis.gc === undefined) throw new Error('run with node --expose-gc')
for (const places of [1, 1.5]) measure(places)
