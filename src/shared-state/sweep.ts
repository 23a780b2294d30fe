/**
 * Restricted facts have no life of their own in the store. The replica that leads takes out tags that were last seen a month ago,
 * and names of as long ago that no tag reaches any more.
 */
import { restrictedLifeMs } from '../digests/sightings.ts'
import { decodeFact, type Decoded } from './fact-codec.ts'
import { keys } from './keys.ts'
import { listOf, pairsOf, textOf } from './reply.ts'
import { sweepScript } from './scripts.ts'
import { evalOf, type Session } from './session.ts'
import { inSlices } from './slices.ts'

const scanCount = 512

interface Stored extends Partial<Decoded> {
  readonly field: Buffer
  readonly value: Buffer
}

/**
 * @param origin name of this replica, which has to lead
 * @param now milliseconds since 1970
 * @throws {Error} where the store does not answer
 */
export const sweep = async (session: Session, origin: string, now: number): Promise<void> => {
  const oldest = now - restrictedLifeMs
  const reached = new Set<string>()
  await drop('T', keys.restrictedTags, ({ fact, stamp }) => {
    if (fact?.kind !== 'tag' || stamp === undefined || stamp < oldest) return true
    reached.add(fact.digest)
    return false
  })
  // What an index names may stand before it: all are known before any goes.
  for (let before = -1; before !== reached.size;) {
    before = reached.size
    await scan(keys.restrictedNames, 'N', ({ fact }) => {
      if (fact?.kind === 'names' && reached.has(fact.manifest))
        for (const manifest of fact.manifests) reached.add(manifest)
    })
  }
  await drop(
    'N',
    keys.restrictedNames,
    ({ fact, stamp }) =>
      fact?.kind !== 'names' || (stamp !== undefined && stamp < oldest && !reached.has(fact.manifest)),
  )

  async function scan(
    key: string,
    kind: string,
    each: (stored: Stored) => void,
    after?: () => Promise<void>,
  ) {
    let cursor = '0'
    do {
      const reply = listOf(await session.patiently(['HSCAN', key, cursor, 'COUNT', String(scanCount)]))
      cursor = textOf(reply[0])
      const pairs = pairsOf(reply[1])
      await inSlices(
        pairs,
        ([field, value]) => each({ field, value, ...decodeFact(kind, field, value) }),
        () => undefined,
      )
      await after?.()
    } while (cursor !== '0')
  }

  async function drop(kind: string, key: string, isOver: (stored: Stored) => boolean) {
    let gone: Buffer[] = []
    await scan(
      key,
      kind,
      (stored) => {
        if (isOver(stored)) gone.push(stored.field, stored.value)
      },
      async () => {
        if (gone.length > 0)
          await session.patiently(evalOf(sweepScript, [keys.lease, keys.index, key], [origin, kind, ...gone]))
        gone = []
      },
    )
  }
}
