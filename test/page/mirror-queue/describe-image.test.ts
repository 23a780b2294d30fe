import type { FastifyRequest } from 'fastify'
import t from 'tap'
import { unavailable } from '../../../src/oci/errors.ts'
import { createTagOwner } from '../../../src/oci/qci-tag.ts'
import { parseReference, parseRepository, type Reference } from '../../../src/oci/reference.ts'
import { createDescribeImage } from '../../../src/page/mirror-queue/describe-image.ts'
import { createMirrorRights } from '../../../src/page/mirror-queue/mirror-rights.ts'
import { alice, digest } from '../../registry/fakes.ts'
import { image } from './fake-mirror.ts'

const ownerOf = createTagOwner(() => false)
const reference = (namespace: string, name: string, tag: string): Reference =>
  parseReference(parseRepository(namespace, name, 'openshift/ci'), tag, ownerOf)
const ubi = reference('ocp', 'ubi', '9')
const request = {
  identity: alice,
  receivedAt: performance.now(),
  client: { network: '192.0.2.1' },
} as unknown as FastifyRequest

const setUp = (answer: { status?: number; body?: unknown } = {}, allows: () => boolean = () => true) => {
  const seen: string[] = []
  const describe = createDescribeImage({
    mirror: {
      get: async (holder, path) => {
        seen.push(`${holder} ${path}`)
        return { status: answer.status ?? 200, body: Buffer.from(JSON.stringify(answer.body ?? image)) }
      },
    },
    rights: createMirrorRights({ reviewPath: async () => ({ allowed: allows(), source: 'live' }) }),
  })
  return { describe: async (one: Reference, mayPull: boolean) => await describe(request, one, mayPull), seen }
}

await t.test('to somebody who may pull the tag, or look at the mirror', async (test) => {
  const { describe, seen } = setUp({}, () => false)
  test.strictSame(await describe(ubi, true), { state: 'same', explanation: image.explanation })
  test.strictSame(await setUp().describe(ubi, false), { state: 'same', explanation: image.explanation })
  test.strictSame(seen, ['alice /api/v1/mirrors/ocp/ubi%3A9'])
})

await t.test('attack: to others, an image looks alike whether the mirror has it or not', async (test) => {
  for (const allows of [
    () => false,
    () => {
      throw unavailable('the cluster does not answer')
    },
  ]) {
    const { describe, seen } = setUp({}, allows)
    test.equal(await describe(ubi, false), undefined)
    test.strictSame(seen, [], 'not by the time of the answer, either')
  }
  const broken = setUp({}, () => {
    throw new TypeError('a bug')
  })
  await test.rejects(broken.describe(ubi, false), { message: 'a bug' })
})

await t.test('an image that is not listed, and a mirror that fails', async (test) => {
  test.equal(await setUp({ status: 404 }).describe(ubi, true), undefined)
  test.match(await setUp({ status: 500 }).describe(ubi, true), {
    state: 'unknown',
    explanation: 'the answer of the mirror cannot be used: it answered 500.',
  })
  const body = { ...image, explanation: `\u001b[2J${'x'.repeat(600)}` }
  test.equal((await setUp({ body }).describe(ubi, true))?.explanation, `?[2J${'x'.repeat(496)}`)
  const bug = setUp()
  const describe = createDescribeImage({
    mirror: {
      get: async () => {
        throw new TypeError('a bug')
      },
    },
    rights: createMirrorRights({ reviewPath: async () => ({ allowed: true, source: 'live' }) }),
  })
  await test.rejects(describe(request, ubi, true), { message: 'a bug' })
  test.strictSame(bug.seen, [])
})

await t.test('which references the mirror can have', async (test) => {
  const rows: readonly (readonly [Reference, string | undefined])[] = [
    [reference('openshift', 'ci', 'ocp_ubi_9'), 'ocp/ubi%3A9'],
    [reference('openshift', 'ci', 'ocp_ubi_8_9'), undefined],
    [reference('openshift', 'ci', '20260101000000_prune_ocp_ubi_9'), undefined],
    [reference('openshift', 'ci', 'latest'), undefined],
    [reference('a', 'b', '_x'), undefined],
    [{ kind: 'digest', repository: ubi.repository, digest }, undefined],
  ]
  for (const [one, path] of rows) {
    const { describe, seen } = setUp()
    await describe(one, true)
    test.strictSame(seen, path === undefined ? [] : [`alice /api/v1/mirrors/${path}`], JSON.stringify(one))
  }
})
