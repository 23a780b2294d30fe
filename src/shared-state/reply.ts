/** Parses replies of the store. A reply of another form than expected is refused here. */
import { StoreRefused } from './store-errors.ts'

export type Reply = Buffer | string | number | null | readonly Reply[]

export const listOf = (reply: Reply | undefined): readonly Reply[] => {
  if (Array.isArray(reply)) return reply as readonly Reply[]
  throw new StoreRefused('PROTOCOL')
}

export const bytesOf = (reply: Reply | undefined): Buffer => {
  if (Buffer.isBuffer(reply)) return reply
  if (typeof reply === 'string') return Buffer.from(reply)
  throw new StoreRefused('PROTOCOL')
}

export const textOf = (reply: Reply | undefined): string => bytesOf(reply).toString()

export const numberOf = (reply: Reply | undefined): number => {
  if (typeof reply === 'number') return reply
  throw new StoreRefused('PROTOCOL')
}

/** Field, value, field, value ... */
export const pairsOf = (reply: Reply | undefined): (readonly [Buffer, Buffer])[] => {
  const flat = listOf(reply).map(bytesOf)
  return flat.flatMap((field, index) => {
    const value = flat[index + 1]
    return index % 2 === 0 && value !== undefined ? [[field, value] as const] : []
  })
}

/** The id and the pairs of a stream's entry. */
export const entryOf = (reply: Reply | undefined) => {
  const [id, pairs] = listOf(reply)
  return { id: textOf(id), pairs: pairsOf(pairs) }
}
