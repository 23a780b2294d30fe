import t, { type Test } from 'tap'
import { composeRemovals } from '../../src/proxy/compose-removals.ts'
import { requestRemoval } from '../../src/storage/removals.ts'
import type { S3Tier } from '../../src/storage/s3/s3-tier.ts'
import type { Forgotten } from '../../src/upstream/cache/manifest-cache.ts'
import { freshDirectory } from '../storage/fixtures.ts'

const [stored, broken] = ['a', 'b'].map((digit) => `sha256:${digit.repeat(64)}`) as [string, string]

/** Looks at once, as often as it takes. */
const answering = async <Answer>(
  inbox: ReturnType<typeof composeRemovals>,
  asked: Promise<Answer>,
): Promise<Answer> => {
  const looking = setInterval(() => void inbox?.look(), 2)
  return await asked.finally(() => clearInterval(looking))
}

const ask = async (test: Test, isWithS3: boolean) => {
  const cacheDir = freshDirectory(test)
  const forgotten: Forgotten[] = []
  const purged: string[] = []
  const tier = {
    purge: async (kind: string, digest: string): ReturnType<S3Tier['purge']> => {
      purged.push(`${kind} ${digest}`)
      if (digest === broken) return 'failed'
      return await Promise.resolve(kind === 'blobs' ? 'removed' : 'absent')
    },
  }
  const unwanted: string[] = []
  const storeOf = (kind: string) => ({ forget: (digest: string) => void unwanted.push(`${kind} ${digest}`) })
  const inbox = composeRemovals({
    config: { cacheDir },
    storage: { blobs: storeOf('blobs'), manifests: storeOf('manifests') },
    s3: isWithS3 ? { tier } : undefined,
    forget: (what) => void forgotten.push(what),
    logger: { info: () => undefined, warn: () => undefined },
  })
  await inbox?.start()
  const asked = requestRemoval(cacheDir, { digests: [stored, 'sha256:../../x', broken], tags: ['t'] }, 60_000)
  const report = await answering(inbox, asked)
  await inbox?.close()
  return { report, forgotten, purged, unwanted }
}

await t.test('an operator removes an image: from memory, and from S3', async (test) => {
  const { report, forgotten, purged, unwanted } = await ask(test, true)
  test.strictSame(
    unwanted,
    ['blobs', 'manifests'].flatMap((kind) => [stored, broken].map((digest) => `${kind} ${digest}`)),
    'also if it is being fetched',
  )
  test.strictSame(forgotten, [{ digests: [stored, broken], tags: ['t'] }], 'attack: what is no digest')
  test.strictSame(report, { s3: { removed: 1, failed: 2 } })
  test.equal(purged.length, 4)
  test.strictSame((await ask(test, false)).report, {})
})

await t.test('without a cache there is nothing to remove, and a warning is logged', async (test) => {
  const warned: unknown[] = []
  const options = {
    s3: undefined,
    storage: undefined,
    forget: () => undefined,
    logger: { info: () => undefined, warn: (fields: unknown) => void warned.push(fields) },
  }
  test.equal(composeRemovals({ ...options, config: { cacheDir: undefined } }), undefined)
  const cacheDir = freshDirectory(test)
  const store = { forget: () => undefined }
  const storage = { blobs: store, manifests: store }
  const inbox = composeRemovals({ ...options, storage, config: { cacheDir } })
  await inbox?.start()
  test.equal(await answering(inbox, requestRemoval(cacheDir, {} as never, 100)), undefined)
  await inbox?.close()
  test.equal(warned.length, 1)
})
