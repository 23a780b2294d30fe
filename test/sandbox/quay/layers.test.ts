import { gunzipSync } from 'node:zlib'
import { extract } from 'tar-stream'
import t from 'tap'
import { buildLayer, digestOf } from '../../../src/sandbox/quay/layers.ts'

await t.test('a layer is a gzip of a tar with one file of the requested size', async (test) => {
  const layer = await buildLayer('a', 3000)
  test.equal(layer.digest, digestOf(layer.body))
  const tar = gunzipSync(layer.body)
  test.equal(layer.diffId, digestOf(tar))
  const unpack = extract()
  unpack.end(tar)
  const entries: string[] = []
  for await (const entry of unpack) {
    entries.push(`${entry.header.type} ${entry.header.size} ${entry.header.mtime?.toISOString()}`)
    entry.resume()
  }
  test.strictSame(entries, [
    'directory 0 2024-06-03T23:54:01.000Z',
    'directory 0 2024-06-03T23:54:01.000Z',
    'file 3000 2024-06-03T23:54:01.000Z',
  ])
  test.ok(layer.body.length > 3000, 'the content does not compress')
})

await t.test('the seed decides the digest', async (test) => {
  const [a, again, b] = await Promise.all(['a', 'a', 'b'].map((seed) => buildLayer(seed, 100)))
  test.equal(a?.digest, again?.digest)
  test.not(a?.digest, b?.digest)
})
