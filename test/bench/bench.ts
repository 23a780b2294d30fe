/**
 * The benchmark: measures the proxy, nginx and Fastify with @fastify/reply-from in one run, prints tables, and writes RESULTS.md.
 *
 *     npm run bench                                        every part but cache-entries, with a soak of a minute: about seven minutes
 *     npm run bench -- streaming soak=10m                  these parts
 *     npm run bench -- restricted-index=1h                 the restricted index at QCI's size
 *     npm run bench -- soak=10m --peaceful                 without bad requesters
 *     npm run bench -- --proxy=../base/bin/quay-proxy.js       the proxy of another checkout
 *
 * It needs Linux, nginx, wrk, curl and openssl; `ss` of iproute2 for one column.
 */
import { join, resolve } from 'node:path'
import { missing } from '../e2e/process.ts'
import { choose, usage, UsageError, type PartName } from './arguments.ts'
import { sectionText, writeResults } from './results.ts'
import { mustHold, type Part, type Section } from './section.ts'
import { endEverything } from './system/processes.ts'

/** The parts are imported after the arguments are read. */
const importParts = async (): Promise<Readonly<Record<PartName, Part>>> => ({
  streaming: (await import('./parts/streaming.ts')).streaming,
  manifests: (await import('./parts/manifests.ts')).manifests,
  'first-byte': (await import('./parts/first-byte.ts')).firstByte,
  'slow-readers': (await import('./parts/slow-readers.ts')).slowReaders,
  'cold-image': (await import('./parts/cold-image.ts')).coldImage,
  cache: (await import('./parts/cache.ts')).cache,
  'cache-entries': (await import('./parts/cache-entries.ts')).cacheEntries,
  'requests-per-pull': (await import('./parts/requests-per-pull.ts')).requestsPerPull,
  'restricted-index': (await import('./parts/restricted-index.ts')).restrictedIndex,
  'image-stream-claims': (await import('./parts/image-stream-claims.ts')).imageStreamClaims,
  mirror: (await import('./parts/mirror.ts')).mirror,
  hostile: (await import('./parts/hostile.ts')).hostile,
  soak: (await import('./parts/soak.ts')).soak,
})

/** A failure after this is the effect of ending the run, and no result. */
let ending = false

const print = (text: string): void => void process.stdout.write(`${text}\n`)

/** The section of a part that failed says so. The other parts run all the same. */
const notMeasured =
  ({ name }: Part, say: (text: string) => void) =>
  (error: Error): Section => {
    // A part rejects its argument before it starts, with a message that begins with the argument.
    if (error.message.startsWith(`${name}=`)) throw new UsageError(error.message)
    say(String(error.stack))
    process.exitCode = 1
    const [reason = ''] = error.message.split('\n')
    return { tables: [], outcomes: [mustHold('it can be measured', reason, false)] }
  }

const bench = async (args: readonly string[]): Promise<void> => {
  const proxyFlag = '--proxy='
  const peacefulFlag = '--peaceful'
  const isPeaceful = args.includes(peacefulFlag)
  const chosen = choose(args.filter((text) => !text.startsWith(proxyFlag) && text !== peacefulFlag))
  const absent = missing('nginx', 'wrk', 'curl', 'openssl')
  if (absent !== false) throw new Error(absent)
  const other = args.find((text) => text.startsWith(proxyFlag))?.slice(proxyFlag.length)
  const main = other === undefined ? join(import.meta.dirname, '../../bin/quay-proxy.js') : resolve(other)
  const sections = new Map<string, string>()
  const parts = await importParts()
  const order = Object.values(parts).map(({ title }) => title)
  for (const { name, argument } of chosen) {
    const part = parts[name]
    const say = (text: string) => void process.stderr.write(`${part.name}: ${text}\n`)
    const text = await sectionText(
      part,
      await part.run({ main, argument, isPeaceful, say }).catch(notMeasured(part, say)),
    )
    if (ending) return
    print(`\n${text}`)
    sections.set(part.title, text)
    // After each part, so that its figures stay if the next one fails.
    if (other === undefined) await writeResults(sections, order)
  }
  print(
    other === undefined ? 'written to test/bench/RESULTS.md' : 'not written: RESULTS.md is of this checkout',
  )
}

const endWith = async (code: number): Promise<void> => {
  ending = true
  await endEverything()
  process.exit(code)
}
// 128 plus the number of the signal, as in shells.
process.on('SIGINT', () => void endWith(130))
process.on('SIGTERM', () => void endWith(143))

try {
  await bench(process.argv.slice(2))
} catch (error) {
  if (!(error instanceof UsageError)) {
    process.stderr.write(`bench: ${(error as Error).stack}\n`)
    await endWith(1)
  }
  process.stderr.write(`bench: ${(error as Error).message}\n${usage()}`)
  await endWith(2)
}
