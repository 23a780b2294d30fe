import t from 'tap'
import { notConnected } from '../../src/proxy/digest-upstream.ts'

await t.test('before upstream is there, every read fails and says why', async (test) => {
  for (const [name, read] of Object.entries(notConnected) as [string, () => Promise<unknown>][])
    await test.rejects(read(), { message: 'not connected to upstream yet' }, name)
})
