import t from 'tap'
import type { Body, Sink } from '../../../src/oci/image-source.ts'
import { createS3Body, type S3BodyOptions } from '../../../src/upstream/cache/s3-body.ts'
import type { Stretch } from '../../../src/upstream/cache/requested-ranges.ts'
import { bytesOf } from '../../storage/fixtures.ts'
import { reading } from './scripted-upstream.ts'

const content = bytesOf(1000)

/** Bytes from an offset on, a hundred at a time, up to where it breaks; `wait` is called before each. */
const bodyFrom = (start: number, breaksAt = content.length, wait: () => void = () => undefined) => {
  const seen = { isDiscarded: false }
  const body: Body = {
    pipeTo: async (sink: Sink) => {
      for (let at = start; at < breaksAt; at += 100) {
        wait()
        await new Promise<void>((release) =>
          sink(content.subarray(at, Math.min(at + 100, breaksAt)), release),
        )
      }
      if (breaksAt < content.length) throw new Error('broke off')
    },
    discard: async () => void (seen.isDiscarded = true),
  }
  return { body, seen }
}

const setUp = (first: Body, options: Partial<S3BodyOptions> = {}) => {
  const ends: [number, boolean][] = []
  const rests: Stretch[] = []
  const body = createS3Body({
    first,
    stretch: { start: 0, end: content.length },
    reopen: async () => await Promise.resolve(undefined),
    openRest: async (rest) => {
      rests.push(rest)
      return await Promise.resolve(bodyFrom(rest.start).body)
    },
    signal: undefined,
    onEnd: (bytes, isBroken) => void ends.push([bytes, isBroken]),
    now: () => 0,
    ...options,
  })
  const read = async () => {
    const { done, bytes } = reading({ status: 200, headers: {}, body })
    await done
    return bytes()
  }
  return { body, ends, rests, read }
}

await t.test('a body that comes whole', async (test) => {
  const { read, ends, rests } = setUp(bodyFrom(0).body)
  test.ok((await read()).equals(content))
  test.strictSame(ends, [[1000, false]])
  test.strictSame(rests, [])
})

await t.test('a broken body continues from S3, and after another break from upstream', async (test) => {
  const once = setUp(bodyFrom(0, 300).body, {
    reopen: async ({ start }) => await Promise.resolve(bodyFrom(start).body),
  })
  test.ok((await once.read()).equals(content))
  test.strictSame([once.ends, once.rests], [[[1000, false]], []])
  const twice = setUp(bodyFrom(0, 300).body, {
    reopen: async ({ start }) => await Promise.resolve(bodyFrom(start, 500).body),
  })
  test.ok((await twice.read()).equals(content))
  test.strictSame([twice.ends, twice.rests], [[[500, true]], [{ start: 500, end: 1000 }]])
  const gone = setUp(bodyFrom(0, 300).body)
  test.ok((await gone.read()).equals(content))
  test.strictSame(gone.rests, [{ start: 300, end: 1000 }])
})

await t.test(
  'a body that is too slow continues from upstream, without another request to S3',
  async (test) => {
    let now = 0
    const trickle = bodyFrom(0, content.length, () => void (now += 1000))
    const { read, ends, rests } = setUp(trickle.body, {
      now: () => now,
      reopen: async () => {
        test.fail('S3 is too slow')
        return await Promise.resolve(undefined)
      },
    })
    test.ok((await read()).equals(content))
    test.strictSame(ends, [[500, true]])
    test.strictSame(rests, [{ start: 500, end: 1000 }])
  },
)

await t.test('a sink that fails, and a client that has left, are no break of S3', async (test) => {
  const failed = new Error('the sink')
  const ofSink = setUp(bodyFrom(0).body)
  const broken = ofSink.body.pipeTo(() => {
    throw failed
  })
  await test.rejects(broken, failed)
  test.strictSame([ofSink.ends, ofSink.rests], [[[0, false]], []])
  const left = setUp(bodyFrom(0, 300).body, { signal: AbortSignal.abort() })
  await test.rejects(left.read(), { message: 'broke off' })
  test.strictSame([left.ends, left.rests], [[[300, false]], []])
})

await t.test('a body that nobody wants', async (test) => {
  const { body, seen } = bodyFrom(0)
  const unwanted = setUp(body)
  await unwanted.body.discard()
  test.ok(seen.isDiscarded)
  test.strictSame(unwanted.ends, [[0, false]])
})
