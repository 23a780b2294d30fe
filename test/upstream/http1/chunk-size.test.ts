import t from 'tap'
import { ChunkSize } from '../../../src/upstream/http1/chunk-size.ts'
import { createBufferPool } from '../../../src/upstream/http1/buffer-pool.ts'

await t.test('chunks are large for a client that keeps up, and small again for a slow one', (test) => {
  const bufferPool = createBufferPool({
    smallBytes: 1,
    largeBytes: 2,
    maxKept: { small: 0, large: 0 },
    maxLarge: 1,
  })
  const [one, other] = [new ChunkSize(bufferPool), new ChunkSize(bufferPool)]
  for (let chunk = 0; chunk < 31; chunk++) one.released(0)
  test.notOk(one.isLarge)
  one.released(9)
  test.ok(one.isLarge)
  one.released(0)
  for (let chunk = 0; chunk < 40; chunk++) other.released(0)
  test.notOk(other.isLarge, 'no more than the limit')
  one.released(10)
  test.notOk(one.isLarge)
  other.released(0)
  test.ok(other.isLarge)
  other.end()
  other.end()
  one.end()
  test.same([bufferPool.enlarge(), bufferPool.enlarge()], [true, false], 'each enlarge was reduced once')
  test.end()
})
