/**
 * Removes old restricted facts, which do not expire by themselves in the store. The leading replica removes tags that were last seen a month
 * ago, and names of the same age that no tag reaches any more.
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
 * @param origin name of this replica, which must be the leader
 * @param now milliseconds since the epoch
 * @throws {Error} if the store does not answer
 */
export const sweep = async (session: Session, origin: string, now: number): Promise<void> => {
  const oldest = now - restrictedLifeMs
  const reached = new Set<string>()
  await drop(session, origin, 'T', ({ fact, stamp }) => {
    if (fact?.kind !== 'tag' || stamp === undefined || stamp < oldest) return true
    reached.add(fact.digest)
    return false
  })
  // The scan may meet a manifest before the index that names it. So nothing is deleted before the set stops growing.
  for (let before = -1; before !== reached.size;) {
    before = reached.size
    await scan(session, 'N', ({ fact }) => {
      if (fact?.kind === 'names' && reached.has(fact.manifest))
        for (const manifest of fact.manifests) reached.add(manifest)
    })
  }
  await drop(
    session,
    origin,
    'N',
    ({ fact, stamp }) =>
      fact?.kind !== 'names' || (stamp !== undefined && stamp < oldest && !reached.has(fact.manifest)),
  )
}

const hashes = { T: keys.restrictedTags, N: keys.restrictedNames } as const
type Kind = keyof typeof hashes

const scan = async (
  session: Session,
  kind: Kind,
  each: (stored: Stored) => void,
  afterPage = async (): Promise<void> => undefined,
): Promise<void> => {
  let cursor = '0'
  do {
    const reply = listOf(await session.patiently(['HSCAN', hashes[kind], cursor, 'COUNT', String(scanCount)]))
    cursor = textOf(reply[0])
    await inSlices(
      pairsOf(reply[1]),
      ([field, value]) => each({ field, value, ...decodeFact(kind, field, value) }),
      () => undefined,
    )
    await afterPage()
  } while (cursor !== '0')
}

const drop = async (
  session: Session,
  origin: string,
  kind: Kind,
  isOver: (stored: Stored) => boolean,
): Promise<void> => {
  let gone: Buffer[] = []
  const collect = (stored: Stored): void => {
    if (isOver(stored)) gone.push(stored.field, stored.value)
  }
  await scan(session, kind, collect, async () => {
    const command = [keys.lease, keys.index, hashes[kind]]
    if (gone.length > 0) await session.patiently(evalOf(sweepScript, command, [origin, kind, ...gone]))
    gone = []
  })
}
