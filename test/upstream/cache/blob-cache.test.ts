import { rmSync, truncateSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { RegistryError } from '../../../src/oci/errors.ts'
import { entryPath } from '../../../src/storage/cache-directory.ts'
import { systemDisk, type Disk } from '../../../src/storage/disk.ts'
import { heldBackBytes } from '../../../src/storage/fill.ts'
import type { BlobCacheOptions } from '../../../src/upstream/cache/blob-cache-options.ts'
import { PoolExhausted, UpstreamRateLimited } from '../../../src/upstream/errors.ts'
import { bytesOf, digestOf, failing, hanging } from '../../storage/fixtures.ts'
import { until } from '../../support/until.ts'
import { failure, told as toldOf } from '../upstream.ts'
import {
  allOf,
  cacheFor,
  reading,
  requestFor,
  scriptedUpstream,
  type CacheSetUp,
} from './scripted-upstream.ts'

const content = bytesOf(300_000)
const digest = digestOf(content)

await t.test('the first reader fills, the next one reads the disk: one request', async (test) => {
  const { open, upstream, told, sent, ended } = cacheFor(test, scriptedUpstream(content))
  for (const tier of ['live', 'disk', 'disk']) {
    const blob = await open(requestFor(content))
    test.equal(blob.status, 200)
    test.strictSame(blob.headers, {
      'accept-ranges': 'bytes',
      etag: `"${digest}"`,
      'content-type': 'application/octet-stream',
      'content-length': '300000',
    })
    test.ok((await allOf(blob)).equals(content), tier)
    await until(() => ended('stored') === 1)
  }
  test.strictSame(upstream.requests, ['GET'])
  test.strictSame(
    told.filter((line) => !line.startsWith('blobs')),
    ['live', 'disk', 'disk'],
  )
  test.equal(sent(), 3 * content.length)
})

await t.test('200 clients of a cold blob: one request, every byte right', async (test) => {
  const { open, upstream, told } = cacheFor(test, scriptedUpstream(content))
  const bodies = await Promise.all(
    Array.from(
      { length: 200 },
      async (_, index) => await allOf(await open(requestFor(content, { requester: `user-${index % 20}` }))),
    ),
  )
  test.ok(bodies.every((bytes) => bytes.equals(content)))
  test.strictSame(upstream.requests, ['GET'])
  test.equal(told.filter((line) => line === 'shared').length, 199)
  test.equal(told.filter((line) => line === 'live').length, 1)
})

await t.test(
  'a client that comes later follows the fill from any offset, and HEAD knows its size',
  async (test) => {
    const { open, upstream, ended } = cacheFor(test, scriptedUpstream(content))
    upstream.scripts.push({ waitsAt: 200_000 })
    const first = reading(await open(requestFor(content)))
    await until(() => first.bytes().length > 190_000)
    const second = reading(await open(requestFor(content)))
    const part = await open(requestFor(content, { range: 'bytes=100-199' }))
    test.ok((await allOf(part)).equals(content.subarray(100, 200)))
    const head = await open(requestFor(content, { method: 'HEAD' }))
    test.match(head, { status: 200, headers: { 'content-length': '300000' }, body: undefined })
    const tail = reading(await open(requestFor(content, { range: 'bytes=-10' })))
    await until(() => second.bytes().length === first.bytes().length)
    await upstream.goOn()
    await Promise.all([first.done, second.done, tail.done])
    test.ok(second.bytes().equals(content))
    test.ok(tail.bytes().equals(content.subarray(-10)))
    test.strictSame(upstream.requests, ['GET'])
    await until(() => ended('stored') === 1)
  },
)

await t.test(
  'trap 34: a range far ahead of a fill goes to upstream at once, and fills nothing',
  async (test) => {
    const large = bytesOf(9_000_000)
    const { open, upstream, told } = cacheFor(test, scriptedUpstream(large))
    upstream.scripts.push({ waitsAt: 50_000 })
    const first = reading(await open(requestFor(large)))
    await until(() => first.bytes().length > 30_000)
    const far = await open(requestFor(large, { range: 'bytes=8999990-' }))
    test.match(far, {
      status: 206,
      headers: { etag: `"${digestOf(large)}"`, 'content-range': 'bytes 8999990-8999999/9000000' },
    })
    test.notOk(Object.hasOwn(far.headers, 'last-modified'))
    test.ok((await allOf(far)).equals(large.subarray(-10)))
    const head = await open(requestFor(large, { method: 'HEAD', range: 'bytes=8999990-' }))
    test.equal(head.status, 206)
    test.strictSame(upstream.requests, ['GET', 'GET bytes=8999990-'])
    await upstream.goOn()
    await first.done
    test.ok(first.bytes().equals(large))
    test.equal(told.filter((line) => line === 'bypassed').length, 1)
  },
)

await t.test(
  "a cold range, and HEAD, are upstream's; a range from the first byte on begins a fill",
  async (test) => {
    const { open, upstream, ended } = cacheFor(test, scriptedUpstream(content))
    const part = await open(requestFor(content, { range: 'bytes=5-9' }))
    test.ok((await allOf(part)).equals(content.subarray(5, 10)))
    const head = await open(requestFor(content, { method: 'HEAD' }))
    test.match(head, {
      status: 200,
      headers: { 'content-length': '300000', etag: `"${digest}"` },
      body: undefined,
    })
    const other = await open(requestFor(content, { range: 'bytes=5-9', ifRange: '"of the storage"' }))
    test.equal(other.status, 200, 'a condition that does not hold: the whole')
    test.ok((await allOf(other)).equals(content))
    await until(() => ended('stored') === 1)
    test.strictSame(upstream.requests, ['GET bytes=5-9', 'HEAD', 'GET'])
    const another = bytesOf(200_000)
    const second = cacheFor(test, scriptedUpstream(another))
    const begun = await second.open(requestFor(another, { range: 'bytes=0-99' }))
    test.equal(begun.status, 206)
    test.ok((await allOf(begun)).equals(another.subarray(0, 100)))
    test.strictSame(second.upstream.requests, ['GET'])
  },
)

await t.test('ranges of a stored blob, and ranges outside of it', async (test) => {
  const { open, ended } = cacheFor(test, scriptedUpstream(content))
  await allOf(await open(requestFor(content)))
  await until(() => ended('stored') === 1)
  for (const [range, start, end] of [
    ['bytes=0-0', 0, 1],
    ['bytes=299999-', 299_999, 300_000],
    ['bytes=-5', 299_995, 300_000],
    ['bytes=65530-200000', 65_530, 200_001],
  ] as const) {
    const blob = await open(requestFor(content, { range, ifRange: `"${digest}"` }))
    test.match(blob, { status: 206, headers: { 'content-range': `bytes ${start}-${end - 1}/300000` } })
    test.ok((await allOf(blob)).equals(content.subarray(start, end)), range)
  }
  const head = await open(requestFor(content, { method: 'HEAD' }))
  test.match(head, { status: 200, headers: { 'content-length': '300000' }, body: undefined })
  const outside = await failure(open(requestFor(content, { range: 'bytes=300000-' })))
  test.equal(toldOf(outside), '416 SIZE_INVALID')
  test.equal(outside.headers['content-range'], 'bytes */300000')
  const unwanted = await open(requestFor(content))
  await unwanted.body?.discard()
  await unwanted.body?.discard()
})

await t.test('trap 35: several ranges in one answer', async (test) => {
  const { open, ended } = cacheFor(test, scriptedUpstream(content))
  await allOf(await open(requestFor(content)))
  await until(() => ended('stored') === 1)
  const blob = await open(requestFor(content, { range: 'bytes=0-1, 100000-100009,-3' }))
  test.equal(blob.status, 206)
  const [, boundary = ''] =
    /^multipart\/byteranges; boundary=(\w+)$/.exec(blob.headers['content-type'] ?? '') ?? []
  const bytes = await allOf(blob)
  test.equal(blob.headers['content-length'], `${bytes.length}`)
  const parts = bytes.toString('latin1').split(`\r\n--${boundary}`).slice(1, -1)
  test.strictSame(
    parts.map((part) => part.slice(part.indexOf('\r\n\r\n') + 4)),
    [content.subarray(0, 2), content.subarray(100_000, 100_010), content.subarray(-3)].map((part) =>
      part.toString('latin1'),
    ),
  )
})

await t.test(
  'a stored file that cannot be read is continued from upstream at the same byte',
  async (test) => {
    const rest = 'GET bytes=131072-299999'
    const rows: [string, Partial<Disk>, string[], string][] = [
      ['EIO', { read: failing('EIO') }, ['blobs corrupt unreadable'], rest],
      ['short', { read: async () => await Promise.resolve(0) }, ['blobs corrupt size'], rest],
      // Nothing of it can be read once more, to compare all bytes with the digest.
      ['hangs', { read: hanging }, [], 'GET'],
    ]
    for (const [name, { read }, expected, second] of rows) {
      let isBroken = false
      const disk: Partial<Disk> = {
        read: async (fd, into, position) =>
          isBroken && position >= 131_072
            ? await read!(fd, into, position)
            : await systemDisk.read(fd, into, position),
      }
      const { open, upstream, told, ended } = cacheFor(test, scriptedUpstream(content), { disk })
      await allOf(await open(requestFor(content)))
      await until(() => ended('stored') === 1)
      isBroken = true
      test.ok((await allOf(await open(requestFor(content)))).equals(content), name)
      test.strictSame(upstream.requests, ['GET', second])
      test.strictSame(
        told.filter((line) => line.includes('corrupt')),
        expected,
      )
    }
  },
)

await t.test('an entry that is short, or gone, is filled anew', async (test) => {
  const { open, upstream, told, directory, ended } = cacheFor(test, scriptedUpstream(content))
  const path = entryPath(directory, 'blobs', { digest, size: content.length })
  for (const [index, act] of [() => undefined, () => truncateSync(path, 5), () => rmSync(path)].entries()) {
    act()
    test.ok((await allOf(await open(requestFor(content)))).equals(content))
    await until(() => ended('stored') === index + 1)
  }
  test.equal(upstream.requests.length, 3)
  test.strictSame(
    told.filter((line) => line.includes('corrupt')),
    ['blobs corrupt size'],
  )
})

await t.test(
  'an entry of an earlier life with wrong bytes: unnoticed if small, else cut before its end',
  async (test) => {
    for (const size of [50_000, 300_000]) {
      const bytes = bytesOf(size)
      const first = cacheFor(test, scriptedUpstream(bytes))
      await allOf(await first.open(requestFor(bytes)))
      await until(() => first.ended('stored') === 1)
      await first.storage.close()
      const path = entryPath(first.directory, 'blobs', { digest: digestOf(bytes), size })
      writeFileSync(path, Buffer.alloc(size))
      const second = cacheFor(test, scriptedUpstream(bytes), { directory: first.directory })
      const reader = reading(await second.open(requestFor(bytes)))
      if (size === 50_000) {
        await reader.done
        test.ok(reader.bytes().equals(bytes))
      } else {
        test.equal(toldOf(await failure(reader.done)), '503 UNAVAILABLE 5')
        test.ok(reader.bytes().length < size)
        test.ok(
          (await allOf(await second.open(requestFor(bytes)))).equals(bytes),
          'and the next client gets it',
        )
      }
      test.ok(second.told.includes('blobs corrupt digest'))
      test.strictSame(second.upstream.requests, ['GET'])
    }
  },
)

await t.test('a part of an entry of an earlier run: the whole entry is verified first', async (test) => {
  for (const isWrong of [false, true]) {
    const first = cacheFor(test, scriptedUpstream(content))
    await allOf(await first.open(requestFor(content)))
    await until(() => first.ended('stored') === 1)
    await first.storage.close()
    const path = entryPath(first.directory, 'blobs', { digest, size: content.length })
    if (isWrong) writeFileSync(path, Buffer.alloc(content.length))
    const second = cacheFor(test, scriptedUpstream(content), { directory: first.directory })
    const head = await second.open(requestFor(content, { method: 'HEAD', range: 'bytes=5-9' }))
    test.equal(head.status, 206)
    for (const range of ['bytes=5-9', 'bytes=-3', 'bytes=0-1,7-8'])
      await second.open(requestFor(content, { range })).then(allOf)
    const part = await allOf(await second.open(requestFor(content, { range: 'bytes=5-9' })))
    test.ok(part.equals(content.subarray(5, 10)))
    test.equal(second.told.includes('blobs corrupt digest'), isWrong)
    test.equal(second.upstream.requests.length, isWrong ? 4 : 0)
  }
})

await t.test('a part of an entry that is not verified yet comes from upstream', async (test) => {
  const slow = Promise.withResolvers<void>()
  const disk: Partial<Disk> = {
    read: async (...args) => {
      await slow.promise
      return await systemDisk.read(...args)
    },
  }
  const restarted = async (checks: BlobCacheOptions['checks']) => {
    const { open, storage, ended, directory } = cacheFor(test, scriptedUpstream(content))
    await allOf(await open(requestFor(content)))
    await until(() => ended('stored') === 1)
    await storage.close()
    return cacheFor(test, scriptedUpstream(content), { directory, disk, checks })
  }
  const part = requestFor(content, { range: 'bytes=0-9' })
  const error = new RegistryError('UNAVAILABLE', 'down')
  const impatient = await restarted({ maxWaitMs: 1, maxPatienceMs: 1 })
  test.ok((await allOf(await impatient.open(part))).equals(content.subarray(0, 10)))
  test.strictSame(impatient.upstream.requests, ['GET bytes=0-9'], 'and no second fill')
  impatient.upstream.scripts.push({ error })
  await test.rejects(impatient.open(part), error)

  const patient = await restarted({ maxWaitMs: 1 })
  patient.upstream.scripts.push({ error })
  const opened = patient.open(part)
  await until(() => patient.upstream.requests.length === 1)
  slow.resolve()
  test.ok(
    (await allOf(await opened)).equals(content.subarray(0, 10)),
    'without upstream it waits for the check',
  )
  test.strictSame(patient.told, ['bypassed', 'disk'])
})

await t.test(
  'wrong bytes of upstream: nobody gets all of them, and a small blob is tried again',
  async (test) => {
    const wrong = Buffer.from(content)
    wrong[100] = 255
    const { open, upstream, ended } = cacheFor(test, scriptedUpstream(content))
    upstream.scripts.push({ content: wrong })
    const readers = await Promise.all([1, 2, 3].map(async () => reading(await open(requestFor(content)))))
    for (const { done, bytes } of readers) {
      test.equal(toldOf(await failure(done)), '503 UNAVAILABLE 5')
      test.ok(bytes().length <= content.length - heldBackBytes)
    }
    test.equal(ended('wrong'), 1)
    const small = bytesOf(10_000)
    const again = cacheFor(test, scriptedUpstream(small))
    again.upstream.scripts.push({ content: Buffer.alloc(10_000) })
    const all = await Promise.all(
      Array.from({ length: 20 }, async () => await allOf(await again.open(requestFor(small)))),
    )
    test.ok(all.every((bytes) => bytes.equals(small)))
    test.strictSame(again.upstream.requests, ['GET', 'GET'], 'once more for all of them')
    await until(() => again.ended('stored') === 1)
    const never = cacheFor(test, scriptedUpstream(small))
    for (let index = 0; index < 5; index++) never.upstream.scripts.push({ content: Buffer.alloc(10_000) })
    test.equal(toldOf(await failure(allOf(await never.open(requestFor(small))))), '503 UNAVAILABLE 5')
    test.equal(never.upstream.requests.length, 2)
  },
)

await t.test('a fill breaks off: each reader gets the rest from its own byte on', async (test) => {
  const { open, upstream, ended } = cacheFor(test, scriptedUpstream(content))
  upstream.scripts.push({ cutAt: 150_000 })
  const readers = await Promise.all([1, 2].map(async () => reading(await open(requestFor(content)))))
  for (const { done, bytes } of readers) {
    await done
    test.ok(bytes().equals(content))
  }
  test.equal(ended('failed'), 1)
  test.equal(upstream.requests.length, 3)
  test.match(upstream.requests[1], /^GET bytes=\d+-299999$/)
  const [, start] = /(\d+)-/.exec(upstream.requests[1] ?? '') ?? []
  test.ok(Number(start) > 100_000)
})

/** The first write succeeds, and every later one runs `write` first. */
const brokenAfterOneWrite = (write: () => Promise<unknown>): Partial<Disk> => {
  let writes = 0
  return {
    write: async (fd, bytes, position) => {
      writes += 1
      if (writes > 1) await write()
      await systemDisk.write(fd, bytes, position)
    },
  }
}

await t.test(
  'a disk that is full, or hangs: readers go on from upstream, and no pull fails',
  async (test) => {
    for (const [name, write, outcome] of [
      ['full', failing('ENOSPC'), 'full'],
      ['hangs', hanging, 'slow'],
      ['read-only', failing('EROFS'), 'unwritable'],
    ] as const) {
      const disk = brokenAfterOneWrite(write)
      const { open, upstream, ended } = cacheFor(test, scriptedUpstream(content), { disk })
      const readers = await Promise.all(
        [1, 2, 3].map(async () => await allOf(await open(requestFor(content)))),
      )
      test.ok(
        readers.every((bytes) => bytes.equals(content)),
        name,
      )
      test.equal(ended(outcome), 1)
      test.equal(upstream.requests.length, 4, 'each reader asks for its rest')
      test.ok((await allOf(await open(requestFor(content)))).equals(content), 'and later ones get it, too')
    }
  },
)

await t.test(
  'attack: a fill is given up, and upstream sends the rest with wrong bytes: nobody gets all',
  async (test) => {
    const wrong = Buffer.from(content)
    wrong[250_000] = 255
    for (const [name, write] of [
      ['full', failing('ENOSPC')],
      ['hangs', hanging],
    ] as const) {
      const disk = brokenAfterOneWrite(write)
      const { open, upstream } = cacheFor(test, scriptedUpstream(content), { disk })
      upstream.scripts.push({}, { content: wrong }, { content: wrong })
      const readers = await Promise.all([1, 2].map(async () => reading(await open(requestFor(content)))))
      for (const { done, bytes } of readers) {
        test.equal(toldOf(await failure(done)), '503 UNAVAILABLE 5', name)
        test.ok(bytes().length <= content.length - heldBackBytes)
      }
      test.equal(upstream.requests.length, 3)
    }
  },
)

await t.test(
  'attack: upstream announces another length: no client takes a part for the whole',
  async (test) => {
    const { open, upstream } = cacheFor(test, scriptedUpstream(content))
    upstream.scripts.push({ content: content.subarray(0, 77) })
    const blob = await open(requestFor(content))
    test.equal(blob.headers['content-length'], '77')
    const client = reading(blob)
    test.equal(toldOf(await failure(client.done)), '503 UNAVAILABLE 5')
    test.equal(client.bytes().length, 0)
    test.ok((await allOf(await open(requestFor(content)))).equals(content))
  },
)

await t.test(
  'attack: wrong bytes past the store: nobody gets all, and a small blob is tried again',
  async (test) => {
    const wrong = Buffer.from(content)
    wrong[100] = 255
    const past = { disk: { create: failing('EROFS') } }
    for (const [more, script, range] of [
      [{}, {}],
      [{}, { withoutLength: true }],
      [{ priority: 'background' }, {}],
      [{ priority: 'background' }, {}, 'bytes=0-'],
    ] as const) {
      const { open, upstream } = cacheFor(test, scriptedUpstream(content), past)
      upstream.scripts.push({ ...script, content: wrong })
      const client = reading(await open(requestFor(content, { ...more, range })))
      test.equal(toldOf(await failure(client.done)), '503 UNAVAILABLE 5')
      test.ok(client.bytes().length < content.length)
      test.ok((await allOf(await open(requestFor(content, { ...more, range })))).equals(content))
    }
    const small = bytesOf(10_000)
    const { open, upstream } = cacheFor(test, scriptedUpstream(small), past)
    upstream.scripts.push({ content: Buffer.alloc(10_000) })
    test.ok((await allOf(await open(requestFor(small)))).equals(small))
    for (let index = 0; index < 2; index++) upstream.scripts.push({ content: Buffer.alloc(10_000) })
    test.equal(toldOf(await failure(allOf(await open(requestFor(small))))), '503 UNAVAILABLE 5')
  },
)

await t.test('a disk that cannot be written to: as without a cache', async (test) => {
  const { open, upstream, told } = cacheFor(test, scriptedUpstream(content), {
    disk: { create: failing('EROFS') },
  })
  const both = await Promise.all([1, 2].map(async () => await allOf(await open(requestFor(content)))))
  test.ok(both.every((bytes) => bytes.equals(content)))
  test.strictSame(upstream.requests, ['GET', 'GET'], 'the answer that was there is for the one who asked')
  test.strictSame(told.toSorted(), ['blobs unwritable', 'bypassed', 'bypassed'])
  const range = await open(requestFor(content, { range: 'bytes=0-9' }))
  test.ok((await allOf(range)).equals(content.subarray(0, 10)))
})

await t.test('a client that leaves harms nobody; the last one ends the fill', async (test) => {
  const { open, upstream, told, ended } = cacheFor(test, scriptedUpstream(content))
  upstream.scripts.push({ waitsAt: 100_000 })
  const gone = new AbortController()
  const first = reading(await open(requestFor(content, { signal: gone.signal })))
  const second = reading(await open(requestFor(content)))
  await until(() => first.bytes().length > 90_000)
  gone.abort()
  await test.rejects(first.done, RegistryError)
  await upstream.goOn()
  await second.done
  test.ok(second.bytes().equals(content))
  await until(() => ended('stored') === 1)

  const another = bytesOf(200_000)
  const other = cacheFor(test, scriptedUpstream(another))
  other.upstream.scripts.push({ waitsAt: 50_000 })
  const last = new AbortController()
  const reader = reading(await other.open(requestFor(another, { signal: last.signal })))
  await until(() => reader.bytes().length > 40_000)
  last.abort()
  await test.rejects(reader.done)
  test.equal(other.ended('cancelled'), 1)
  test.ok((await allOf(await other.open(requestFor(another)))).equals(another), 'a fill of its own')
  test.strictSame(other.upstream.requests, ['GET', 'GET'])
  test.strictSame(
    told.filter((line) => line.includes('corrupt')),
    [],
  )
})

await t.test('all clients leave before upstream answers', async (test) => {
  for (const [script, isOver] of [
    [{ waitsAt: 100_000 }, ({ ended }: CacheSetUp) => ended('cancelled') === 1],
    [{ withoutLength: true }, ({ upstream }: CacheSetUp) => upstream.unread() === 0],
  ] as const) {
    const silence = Promise.withResolvers<void>()
    const cache = cacheFor(test, scriptedUpstream(content))
    cache.upstream.scripts.push({ ...script, silence: silence.promise })
    const gone = new AbortController()
    const opened = cache.open(requestFor(content, { signal: gone.signal }))
    await until(() => cache.upstream.requests.length === 1)
    gone.abort()
    await test.rejects(opened, { code: 'UNAVAILABLE' })
    silence.resolve()
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
    await until(() => isOver(cache))
    test.ok((await allOf(await cache.open(requestFor(content)))).equals(content))
  }
})

await t.test('a blob without a length is not filled, unless a manifest states its size', async (test) => {
  const { open, upstream, told } = cacheFor(test, scriptedUpstream(content))
  for (let index = 0; index < 3; index++) upstream.scripts.push({ withoutLength: true })
  const gone = new AbortController()
  const [own, shared] = await Promise.all([
    open(requestFor(content, { signal: gone.signal })),
    open(requestFor(content)),
  ])
  test.equal(own.headers['etag'], `"${digest}"`)
  test.ok((await allOf(shared)).equals(content))
  test.strictSame(told, ['bypassed', 'bypassed'])
  gone.abort()
  await test.rejects(allOf(own))
  const sized = cacheFor(test, scriptedUpstream(content), {
    sizeOf: () => content.length,
  })
  sized.upstream.scripts.push({ withoutLength: true })
  test.ok((await allOf(await sized.open(requestFor(content)))).equals(content))
  await until(() => sized.ended('stored') === 1)
})

await t.test(
  'attack: fills of one requester are bounded, and beyond that go past the store',
  async (test) => {
    const blobs = Array.from({ length: 6 }, (_, index) => bytesOf(100_000 + index))
    const { open, upstream, told } = cacheFor(test, scriptedUpstream(...blobs), { maxFills: 4 })
    for (const _ of blobs) upstream.scripts.push({ waitsAt: 50_000 })
    const readers: ReturnType<typeof reading>[] = []
    for (const bytes of blobs.slice(0, 5)) readers.push(reading(await open(requestFor(bytes))))
    readers.push(reading(await open(requestFor(blobs[5]!, { requester: 'bob' }))))
    test.strictSame(told, ['live', 'live', 'live', 'bypassed', 'bypassed', 'live'])
    await until(() => readers.every(({ bytes }) => bytes().length > 30_000))
    await upstream.goOn(blobs.length)
    for (const [index, { done, bytes }] of readers.entries()) {
      await done
      test.ok(bytes().equals(blobs[index]!))
    }
  },
)

await t.test('attack: the rate limit of the first requester does not refuse the others', async (test) => {
  for (const error of [new UpstreamRateLimited('slow down', 1), new PoolExhausted()]) {
    const { open, upstream } = cacheFor(test, scriptedUpstream(content))
    upstream.scripts.push({ error })
    const both = await Promise.allSettled([
      open(requestFor(content, { requester: 'mallory' })),
      open(requestFor(content)),
    ])
    // The disk decides whose request is the first one to upstream.
    const refused = both.filter(({ status }) => status === 'rejected') as PromiseRejectedResult[]
    test.strictSame(
      refused.map(({ reason }) => (reason as RegistryError).code),
      [error.code],
    )
    for (const one of both) if (one.status === 'fulfilled') test.ok((await allOf(one.value)).equals(content))
  }
})

await t.test(
  'all waiting requests get an error of upstream, and the next request is sent again',
  async (test) => {
    const { open, upstream, storage } = cacheFor(test, scriptedUpstream(content))
    await storage.load(new AbortController().signal)
    upstream.scripts.push({ error: new RegistryError('BLOB_UNKNOWN', 'pruned') })
    const failures = await Promise.all([1, 2, 3].map(async () => await failure(open(requestFor(content)))))
    test.strictSame(
      failures.map(({ code }) => code),
      Array(3).fill('BLOB_UNKNOWN'),
    )
    test.equal(upstream.requests.length, 1)
    test.ok((await allOf(await open(requestFor(content)))).equals(content))
  },
)

await t.test('a background request reads the disk, and fills nothing', async (test) => {
  const { open, told } = cacheFor(test, scriptedUpstream(content))
  await allOf(await open(requestFor(content, { priority: 'background' })))
  test.strictSame(told, ['bypassed'])
})

await t.test('a redirect is passed on as it is', async (test) => {
  const redirect = {
    status: 307,
    headers: { location: 'https://cdn.example.org/' },
    body: undefined,
  } as const
  const upstream = { ...scriptedUpstream(content), open: async () => await Promise.resolve(redirect) }
  const { open } = cacheFor(test, upstream)
  test.equal(await open(requestFor(content)), redirect)
})

await t.test('a fill that is over when its last follower comes', async (test) => {
  const { open, upstream, told, ended } = cacheFor(test, scriptedUpstream(content))
  const body = (await open(requestFor(content))).body
  await until(() => ended('stored') === 1)
  test.strictSame(upstream.requests, ['GET'], 'a slow client does not slow the fill')
  const chunks: Buffer[] = []
  await body?.pipeTo((chunk, release) => {
    chunks.push(Buffer.from(chunk))
    release()
  })
  test.ok(Buffer.concat(chunks).equals(content))
  test.strictSame(told, ['live', 'blobs stored'])
})

await t.test('a client that looked at the disk while another one began', async (test) => {
  const held = Promise.withResolvers<void>()
  let lists = 0
  const list: Disk['list'] = async (path) => {
    lists += 1
    if (lists === 1) await held.promise
    return await systemDisk.list(path)
  }
  const { open, upstream, told } = cacheFor(test, scriptedUpstream(content), { disk: { list } })
  upstream.scripts.push({ waitsAt: 100_000 })
  const late = open(requestFor(content))
  const first = reading(await open(requestFor(content)))
  held.resolve()
  const second = reading(await late)
  await until(() => first.bytes().length > 90_000)
  await upstream.goOn()
  await Promise.all([first.done, second.done])
  test.ok(second.bytes().equals(content))
  test.strictSame(upstream.requests, ['GET'])
  test.strictSame(told.slice(0, 2), ['live', 'shared'])
})

await t.test(
  'attack: 500 clients that read nothing hold one small buffer each, and the fill goes on',
  async (test) => {
    const { open, upstream, ended } = cacheFor(test, scriptedUpstream(content))
    const out: Buffer[] = []
    const gone = new AbortController()
    const readers = Array.from({ length: 500 }, async () => {
      const { body } = await open(requestFor(content, { signal: gone.signal }))
      await body?.pipeTo((chunk) => void out.push(chunk))
    })
    const outcomes = Promise.allSettled(readers)
    await until(() => ended('stored') === 1 && out.length === 500)
    await new Promise((resolve) => setTimeout(resolve, 20))
    test.equal(out.length, 500)
    test.equal(new Set(out.map(({ buffer }) => buffer)).size, 500)
    test.ok(out.every(({ buffer }) => buffer.byteLength === 64 * 1024))
    test.strictSame(upstream.requests, ['GET'])
    gone.abort()
    test.ok((await outcomes).every(({ status }) => status === 'rejected'))
  },
)
