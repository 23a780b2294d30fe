/** What a fake store holds, and the meaning of each command and script. */
import { EventEmitter, once } from 'node:events'

/** An error reply. */
export class Failure {
  readonly message: string

  constructor(message: string) {
    this.message = message
  }
}

export type Value = string | number | Buffer | null | Failure | readonly Value[]
type Entry = { readonly id: string; readonly pairs: readonly Buffer[] }

export interface Database {
  readonly strings: Map<string, string>
  /** Field in latin1 -> value. */
  readonly hashes: Map<string, Map<string, Buffer>>
  readonly streams: Map<string, Entry[]>
  readonly sets: Map<string, Map<string, number>>
  /** Milliseconds since 1970 at which a key ends. */
  readonly ends: Map<string, number>
  readonly wipe: () => void
  readonly add: (key: string, pairs: readonly (string | Buffer)[]) => string
  readonly command: (name: string, args: readonly Buffer[], signal: AbortSignal) => Promise<Value>
  readonly script: (name: string, keys: readonly string[], args: readonly Buffer[], isFull: boolean) => Value
}

const partsOf = (id: string) => id.split('-').map(Number) as [number, number]
const isAfter = (id: string, other: string): boolean => {
  const [[ms, seq], [otherMs, otherSeq]] = [partsOf(id), partsOf(other)]
  return ms === otherMs ? seq > otherSeq : ms > otherMs
}

export const createDatabase = (): Database => {
  const strings = new Map<string, string>()
  const hashes = new Map<string, Map<string, Buffer>>()
  const streams = new Map<string, Entry[]>()
  const sets = new Map<string, Map<string, number>>()
  const ends = new Map<string, number>()
  const news = new EventEmitter().setMaxListeners(0)
  let last = '0-0'

  const hash = (key: string) => {
    const found = hashes.get(key) ?? new Map<string, Buffer>()
    hashes.set(key, found)
    return found
  }
  const size = (key: string) => hashes.get(key)?.size ?? 0
  const wire = ({ id, pairs }: Entry): Value => [id, pairs]
  const add = (key: string, pairs: readonly (string | Buffer)[]): string => {
    const [ms, seq] = partsOf(last)
    const now = Date.now()
    last = now > ms ? `${now}-0` : `${ms}-${seq + 1}`
    const stream = streams.get(key) ?? []
    streams.set(key, [...stream, { id: last, pairs: pairs.map((part) => Buffer.from(part)) }])
    news.emit('entry')
    return last
  }

  const isNewIn = (among: readonly string[], field: Buffer) =>
    among.every((key) => hashes.get(key)?.has(field.toString('latin1')) !== true)
  const bucketsFrom = (of: string, bucket: string, step: 1 | -1, generations: Buffer | undefined) =>
    Array.from({ length: Number(generations) + 1 }, (_, at) => `${of}:${Number(bucket) + step * at}`)
  const moveUp = (
    of: string,
    bucket: string,
    end: number,
    field: Buffer,
    generations: Buffer | undefined,
  ) => {
    ends.set(`${of}:${bucket}`, end)
    for (const key of bucketsFrom(of, bucket, -1, generations).slice(1))
      hashes.get(key)?.delete(field.toString('latin1'))
  }
  const countIn = (index: string, kind: string) => {
    const counted = hashes.get(index)?.get(kind)
    if (counted !== undefined) hash(index).set(kind, Buffer.from(String(Number(counted) + 1)))
  }

  const scripts: Record<
    string,
    (keys: readonly string[], args: readonly Buffer[], isFull: boolean) => Value
  > = {
    openScript: ([epoch = '', log = '', logins = ''], [proposed]) => {
      if (!strings.has(epoch) || !streams.has(log)) {
        strings.set(epoch, String(proposed))
        add(log, ['o', ''])
      }
      return [strings.get(epoch)!, streams.get(log)!.at(-1)!.id, streams.get(logins)?.at(-1)?.id ?? '0-0']
    },
    readScript: ([epoch = '', log = ''], [expected, from, count], isFull) => {
      if (strings.get(epoch) !== String(expected)) return ['lost']
      const all = streams.get(log) ?? []
      const entries = all
        .filter(({ id }) => id === String(from) || isAfter(id, String(from)))
        .slice(0, Number(count))
      if (entries[0]?.id === String(from)) return [isFull ? 'full' : 'ok', entries.map(wire)]
      return entries[0] !== undefined && entries[0] === all[0] ? ['trimmed'] : ['lost']
    },
    publishScript: ([epoch = '', log = '', bell = '', index = ''], args) => {
      const [expected, origin, missing, , prefix, generations, ...facts] = args
      if (strings.get(epoch) !== String(expected)) return 0
      const logged: Buffer[] = []
      for (let at = 0; at < facts.length; at += 5) {
        const [kind, bucket, end] = facts.slice(at, at + 3).map(String) as [string, string, string]
        const [field, value] = [facts[at + 3]!, facts[at + 4]!]
        const of = `${String(prefix)}${kind}`
        const isMissing =
          bucket === '' ? isNewIn([of], field) : isNewIn(bucketsFrom(of, bucket, 1, generations), field)
        if (String(missing) === '1' && !isMissing) continue
        hash(bucket === '' ? of : `${of}:${bucket}`).set(field.toString('latin1'), value)
        if (bucket !== '') moveUp(of, bucket, Number(end) * 1000, field, generations)
        else if (isMissing) countIn(index, kind)
        logged.push(Buffer.concat([Buffer.from(kind), field]), value)
      }
      if (logged.length > 0) {
        add(log, ['o', origin!, ...logged])
        streams.set(bell, [])
        add(bell, ['b', ''])
      }
      return 1
    },
    beatScript: ([replicas = '', , index = '', tags = '', names = ''], [id, ms], isFull) => {
      if (isFull) return [-1, 0]
      const set = new Map([...(sets.get(replicas) ?? []), [String(id), Date.now()]])
      sets.set(replicas, new Map([...set].filter(([, at]) => at > Date.now() - Number(ms))))
      const counted = hashes.get(index)
      const isShort = [[tags, 'T'] as const, [names, 'N'] as const].some(
        ([key, kind]) => size(key) < Number(counted?.get(kind) ?? 0),
      )
      return [sets.get(replicas)!.size, isShort ? 1 : 0]
    },
    grantScript: ([key = ''], [place, most, seconds]) => {
      const set = new Map([...(sets.get(key) ?? []), [String(place), Date.now()]])
      const newest = [...set].toSorted(([, one], [, other]) => one - other).slice(-Number(most))
      sets.set(key, new Map(newest))
      ends.set(key, Date.now() + Number(seconds) * 1000)
      return 1
    },
    leadScript: ([lease = ''], [id, ms]) => {
      if ((ends.get(lease) ?? Infinity) < Date.now()) strings.delete(lease)
      if (strings.has(lease) && strings.get(lease) !== String(id)) return 0
      strings.set(lease, String(id))
      ends.set(lease, Date.now() + Number(ms))
      return 1
    },
    releaseScript: ([lease = ''], [id]) => {
      if (strings.get(lease) !== String(id)) return 0
      strings.delete(lease)
      return 1
    },
    writeIndexScript: ([lease = '', index = '', tags = '', names = ''], [id, state]) => {
      if (strings.get(lease) !== String(id)) return 0
      hash(index).set('state', state!)
      hash(index).set('T', Buffer.from(String(size(tags))))
      hash(index).set('N', Buffer.from(String(size(names))))
      return 1
    },
    readIndexScript: ([index = '', tags = '', names = '']) => {
      const held = hashes.get(index)
      const isShort = size(tags) < Number(held?.get('T')) || size(names) < Number(held?.get('N'))
      return held === undefined || isShort ? null : held.get('state')!
    },
    sweepScript: ([lease = '', index = '', key = ''], [id, kind, ...fields]) => {
      if (strings.get(lease) !== String(id)) return 0
      let gone = 0
      for (let at = 0; at < fields.length; at += 2) {
        const name = fields[at]!.toString('latin1')
        if (
          hash(key)
            .get(name)
            ?.equals(fields[at + 1]!) === true &&
          hash(key).delete(name)
        )
          gone += 1
      }
      const counted = hashes.get(index)?.get(String(kind))
      if (counted !== undefined) hash(index).set(String(kind), Buffer.from(String(Number(counted) - gone)))
      return gone
    },
    leaseScript: ([key = ''], [rate, burst, wanted, spent, shut]) => {
      const perMs = Number(rate) / 1000
      const held = hashes.get(key)
      const at = Number(held?.get('at') ?? Date.now())
      const before = Number(held?.get('level') ?? burst)
      const refilled = Math.min(Number(burst), before + Math.max(0, Date.now() - at) * perMs)
      let level = Math.max(refilled - Number(spent), Math.min(refilled, -Number(burst)))
      if (Number(shut) > 0) level = Math.min(level, 1 - Number(shut) * perMs)
      const granted = Math.max(0, Math.min(Number(wanted), Math.floor(level + 1e-9)))
      level -= granted
      hash(key).set('level', Buffer.from(String(level)))
      hash(key).set('at', Buffer.from(String(Math.max(at, Date.now()))))
      return [granted, Math.max(0, Math.ceil((1 - level) / perMs))]
    },
  }

  const scan = (key: string, cursor: string): Value => {
    // In two steps, as a large one.
    const all = [...(hashes.get(key) ?? [])]
    const half = Math.ceil(all.length / 2)
    const part = cursor === '0' ? all.slice(0, half) : all.slice(half)
    const flat = part.flatMap(([field, value]) => [Buffer.from(field, 'latin1'), value])
    return [cursor === '0' && all.length > 1 ? '1' : '0', flat]
  }
  const read = async (words: readonly string[], signal: AbortSignal): Promise<Value> => {
    const [bell = '', logins = '', ...from] = words
    const find = () =>
      [bell, logins].flatMap((key, index) => {
        const entries = (streams.get(key) ?? []).filter(({ id }) => isAfter(id, from[index]!))
        return entries.length === 0 ? [] : [[key, entries.map(wire)] as const]
      })
    while (find().length === 0 && !signal.aborted)
      await once(news, 'entry', { signal }).catch(() => undefined)
    return find()
  }

  const command = async (name: string, args: readonly Buffer[], signal: AbortSignal): Promise<Value> => {
    const words = args.map((arg) => arg.toString('latin1'))
    const [key = '', member = ''] = words
    if (name === 'SELECT') return 'OK'
    if (name === 'HSCAN') return scan(key, member)
    if (name === 'XADD') return add(key, args.slice(words.indexOf('*') + 1))
    if (name === 'ZREM') return sets.get(key)?.delete(member) === true ? 1 : 0
    if (name === 'ZREVRANGE')
      return [...(sets.get(key) ?? [])]
        .toSorted(([, one], [, other]) => other - one)
        .slice(Number(member), Number(words[2]) + 1)
        .map(([place]) => place)
    if (name === 'XREAD') return await read(words.slice(words.indexOf('STREAMS') + 1), signal)
    return new Failure(`ERR unknown command ${name}, with args beginning with: ${words.join(' ')}`)
  }

  return {
    strings,
    hashes,
    streams,
    sets,
    ends,
    add,
    wipe: () => {
      for (const map of [strings, hashes, streams, sets, ends]) map.clear()
    },
    command,
    script: (name, keys, args, isFull) => scripts[name]!(keys, args, isFull),
  }
}
