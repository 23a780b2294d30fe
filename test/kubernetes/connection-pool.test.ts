import t from 'tap'
import { createConnectionPool, type Dispatcher } from '../../src/kubernetes/connection-pool.ts'

const fake = (name: string, ended: string[]) =>
  ({
    close: async () => void ended.push(`${name} closed`),
    destroy: async () => void ended.push(`${name} destroyed`),
  }) as unknown as Dispatcher

await t.test('the first pool is used for ten minutes, or until it is renewed', async (test) => {
  let now = 0
  test.intercept(performance, 'now', { value: () => now })
  const ended: string[] = []
  const pool = createConnectionPool()
  await pool.close()
  test.throws(() => pool.adopt(undefined), { message: 'client-node returned no connection pool' })
  const [a, b, c] = [fake('a', ended), fake('b', ended), fake('c', ended)]
  test.equal(pool.adopt(a), a)
  now = 599_999
  test.equal(pool.adopt(b), a)
  test.equal(pool.adopt(undefined), a)
  now = 600_000
  test.equal(pool.adopt(b), b)
  pool.renew()
  test.equal(pool.adopt(c), c)
  await pool.close()
  test.strictSame(ended, ['a closed', 'b closed', 'c destroyed'])
})
