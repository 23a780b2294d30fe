import t from 'tap'
import { createChunkSize } from '../../../src/upstream/http1/chunk-size.ts'
import { createBufferPool } from '../../../src/upstream/http1/buffer-pool.ts'

await t.test('large for a client that keeps up, small again for a slow one', (test) => {
  const bufferPool = createBufferPool({
    smallBytes: 1,
    largeBytes: 2,
    maxKept: { small: 0, large: 0 },
    maxLarge: 1,
  })
  const [one, other] = [createChunkSize(bufferPool), createChunkSize(bufferPool)]
  for (let chunk = 0; chunk < 31; chunk++) one.written(0)
  test.notOk(one.isLarge())
  one.written(9)
  test.ok(one.isLarge())
  one.written(0)
  for (let chunk = 0; chunk < 40; chunk++) other.written(0)
  test.notOk(other.isLarge(), 'no more than the limit')
  one.written(10)
  test.notOk(one.isLarge())
  other.written(0)
  test.ok(other.isLarge())
  other.end()
  other.end()
  one.end()
  test.same(
    [bufferPool.enlarge(), bufferPool.enlarge()],
    [true, false],
    'nothing is owed, nothing is given back twice',
  )
  test.end()
})
