import t, { type Test } from 'tap'
import { encodeFact } from '../../src/shared-state/fact-codec.ts'
import { keys } from '../../src/shared-state/keys.ts'
import { openSession } from '../../src/shared-state/session.ts'
import type { Fact } from '../../src/digests/facts.ts'
import { restrictedLifeMs } from '../../src/digests/sightings.ts'
import { sweep } from '../../src/shared-state/sweep.ts'
import { startFakeRedis } from './fake-redis.ts'
import { digestOf, namesFact, tagFact } from './support.ts'

const now = 2_000_000_000_000
const old = now - restrictedLifeMs - 1

const setUp = async (test: Test, facts: readonly (readonly [Fact, number])[]) => {
  const server = await startFakeRedis()
  const session = await openSession({ url: server.url }, () => undefined)
  test.teardown(async () => {
    session.end(new Error('over'))
    await server.close()
  })
  const hash = (key: string) => {
    const found = server.database.hashes.get(key) ?? new Map<string, Buffer>()
    server.database.hashes.set(key, found)
    return found
  }
  for (const [fact, stamp] of facts) {
    const { kind, field, value } = encodeFact(fact, stamp)!
    hash(kind === 'T' ? keys.restrictedTags : keys.restrictedNames).set(field.toString('latin1'), value)
  }
  server.database.strings.set(keys.lease, 'me')
  const sizes = () => [hash(keys.restrictedTags).size, hash(keys.restrictedNames).size]
  return { server, session, hash, sizes }
}

const index = (name: string, ...children: readonly string[]): Fact => ({
  kind: 'names',
  manifest: digestOf(name),
  manifests: children.map(digestOf),
  blobs: [],
  isRestricted: true,
})

await t.test('old tags are removed, and old names that no tag reaches', async (test) => {
  const facts = [
    [tagFact('live', true, now - 1000), 0],
    [tagFact('old', true, old), 0],
    [index('live', 'inner'), old],
    [index('inner', 'innermost'), old],
    [namesFact('innermost', 2, true), old],
    [namesFact('old', 2, true), old],
    [namesFact('just published', 2, true), now],
  ] as const
  const { server, session, hash, sizes } = await setUp(test, facts)
  hash(keys.restrictedTags).set('foreign', Buffer.of(1))
  hash(keys.restrictedNames).set('foreign', Buffer.of(1))
  hash(keys.index).set('T', Buffer.from('3')).set('N', Buffer.from('6'))
  await sweep(session, 'me', now)
  test.same(sizes(), [1, 4])
  test.same(
    [String(hash(keys.index).get('T')), String(hash(keys.index).get('N'))],
    ['1', '4'],
    'and are not missed',
  )
  const swept = server.asked.get('sweepScript')
  await sweep(session, 'me', now)
  test.same(sizes(), [1, 4])
  test.equal(server.asked.get('sweepScript'), swept, 'nothing to do, nothing asked')
})

await t.test('a replica that does not lead removes nothing', async (test) => {
  const { session, sizes } = await setUp(test, [[tagFact('old', true, old), 0]])
  await sweep(session, 'another', now)
  test.same(sizes(), [1, 0])
})

await t.test('a store that does not answer is an error', async (test) => {
  const { session, server } = await setUp(test, [])
  server.refuse('READONLY')
  await test.rejects(sweep(session, 'me', now), { code: 'READONLY' })
})
