/**
 * The benchmark: measures the proxy beside nginx and the straight library path, prints tables, and writes RESULTS.md.
 *
 *     npm run bench                                        every part, with a soak of a minute: about seven minutes
 *     npm run bench -- streaming soak=10m                  these parts
 *     npm run bench -- restricted-index=1h                 the restricted index at QCI's size
 *     npm run bench -- soak=10m --peaceful                 without bad requesters beside the others
 *     npm run bench -- --proxy=../base/src/main.ts         the proxy of another checkout
 *
 * It needs Linux, nginx, wrk, curl and openssl; `ss` of iproute2 for one column.
 */
import { join, resolve } from 'node:path'
import { missing } from '../e2e/process.ts'
import { choose, usage, UsageError, type PartName } from './arguments.ts'
import { sectionText, writeResults } from './results.ts'
import { mustHold, type Part, type Section } from './section.ts'
import { endEverything } from './system/processes.ts'

/** Imported after the arguments are read. */
const importParts = async (): Promise<Readonly<Record<PartName, Part>>> => ({
  streaming: (await import('./parts/streaming.ts')).streaming,
  manifests: (await import('./parts/manifests.ts')).manifests,
  'first-byte': (await import('./parts/first-byte.ts')).firstByte,
  'slow-readers': (await import('./parts/slow-readers.ts')).slowReaders,
  'cold-image': (await import('./parts/cold-image.ts')).coldImage,
  'requests-per-pull': (await import('./parts/requests-per-pull.ts')).requestsPerPull,
  'restricted-index': (await import('./parts/restricted-index.ts')).restrictedIndex,
  'image-stream-claims': (await import('./parts/image-stream-claims.ts')).imageStreamClaims,
  hostile: (await import('./parts/hostile.ts')).hostile,
  soak: (await import('./parts/soak.ts')).soak,
})

/** What fails from now on fails since it was ended: that is no result. */
let ending = false

const print = (text: string): void => void process.stdout.write(`${text}\n`)

/** Of a part that failed, its section says so; the others are measured all the same. */
const notMeasured =
  ({ name }: Part, say: (text: string) => void) =>
  (error: Error): Section => {
    // It refuses what stands behind its name before it starts, in a message that begins with that.
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
  const main = other === undefined ? join(import.meta.dirname, '../../src/main.ts') : resolve(other)
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
    // After each: what is measured stays, whatever becomes of the next.
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
// 128 and the number of the signal, as shells count.
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
