import * as fs from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import type * as compileCache from '../../bin/compile-cache.js'

/** A cache that this process cannot write, and the directories that Node.js is given. Root could write everything. */
const setUp = async (test: Test, { isWritable = false } = {}) => {
  const enabled: string[] = []
  const { useCompileCache } = await test.mockImport<typeof compileCache>('../../bin/compile-cache.js', {
    'node:fs': {
      ...fs,
      accessSync: () => {
        if (!isWritable) throw new Error('EACCES')
      },
    },
    'node:module': { default: { enableCompileCache: (directory: string) => void enabled.push(directory) } },
  })
  const folder = test.testdir({ cache: {}, temporary: {} })
  const directory = join(folder, 'cache')
  const temporary = join(folder, 'temporary')
  return {
    directory,
    temporary,
    use: ({
      userId = 1234,
      ...options
    }: Partial<compileCache.CompileCacheOptions> & { userId?: number } = {}) =>
      useCompileCache({ directory, temporary, getUserId: () => userId, ...options }),
    enabled,
    addCache: (name: string) => fs.mkdirSync(join(directory, name)),
  }
}

const built = 'v26.10.0-x64-310b2ce3-1001'

await t.test('a cache that can be written, of this user, or none yet: itself', async (test) => {
  const writable = await setUp(test, { isWritable: true })
  writable.addCache(built)
  writable.use()()
  test.strictSame(writable.enabled, [writable.directory])
  const own = await setUp(test)
  own.addCache(built)
  own.use({ userId: 1001 })()
  test.strictSame(own.enabled, [own.directory])
  const none = await setUp(test)
  none.use()()
  none.use({ directory: join(none.directory, 'missing') })()
  test.strictSame(none.enabled, [none.directory, join(none.directory, 'missing')])
  test.strictSame(fs.readdirSync(none.temporary), [])
})

await t.test(
  'the cache of the image, for a user that it does not know: a link, until the exit',
  async (test) => {
    const { use, addCache, enabled, directory, temporary } = await setUp(test)
    addCache(built)
    const remove = use({ userId: 1_000_650_000 })
    const [linked = ''] = enabled
    test.ok(linked.startsWith(join(temporary, 'quay-proxy-cache-')))
    test.equal(fs.readlinkSync(join(linked, 'v26.10.0-x64-310b2ce3-1000650000')), join(directory, built))
    remove()
    test.strictSame(fs.readdirSync(temporary), [])
    test.ok(fs.existsSync(join(directory, built)), 'the cache itself stays')
  },
)

await t.test('without a place for a link it starts as well', async (test) => {
  const { use, addCache, enabled, directory, temporary } = await setUp(test)
  addCache(built)
  use({ temporary: join(temporary, 'missing') })()
  use({ getUserId: undefined })()
  test.strictSame(enabled, [directory, directory])
})
