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
import { parseDuration } from '../../src/config/value-parsers.ts'
import { missing } from '../e2e/process.ts'
import { coldImage } from './parts/cold-image.ts'
import { firstByte } from './parts/first-byte.ts'
import { hostile } from './parts/hostile.ts'
import { manifests } from './parts/manifests.ts'
import { requestsPerPull } from './parts/requests-per-pull.ts'
import { restrictedIndex } from './parts/restricted-index.ts'
import { slowReaders } from './parts/slow-readers.ts'
import { soak } from './parts/soak.ts'
import { streaming } from './parts/streaming.ts'
import { imageStreamClaims } from './parts/image-stream-claims.ts'
import { sectionText, writeResults } from './results.ts'
import { mustHold, type Part, type Section } from './section.ts'
import { endEverything } from './system/processes.ts'

const parts: readonly Part[] = [
  streaming,
  manifests,
  firstByte,
  slowReaders,
  coldImage,
  requestsPerPull,
  restrictedIndex,
  imageStreamClaims,
  hostile,
  soak,
]

interface Chosen {
  readonly part: Part
  readonly argument: string | undefined
}

/** What fails from now on fails since it was ended: that is no result. */
let ending = false

const print = (text: string): void => void process.stdout.write(`${text}\n`)

/** What was asked for cannot be done: told without a stack, and with what can. */
class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** @throws {UsageError} for a name that no part has, and for what stands behind one */
const choose = (args: readonly string[]): readonly Chosen[] => {
  if (args.length === 0) return parts.map((part) => ({ part, argument: undefined }))
  return args.map((text) => {
    const [name = '', argument] = text.split('=')
    const part = parts.find((candidate) => candidate.name === name)
    if (part === undefined) throw new UsageError(`there is no part ${name}`)
    if (argument !== undefined && part.argument === undefined)
      throw new UsageError(`${name} takes no argument`)
    // All there are take a duration.
    if (argument !== undefined && parseDuration(argument) === undefined)
      throw new UsageError(`${text}: expected ${part.argument}`)
    return { part, argument }
  })
}

const usage = (): string =>
  [
    'the parts are',
    ...parts.map(({ name, argument }) => `  ${name}${argument === undefined ? '' : `[=${argument}]`}`),
    '',
  ].join('\n')

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
  const order = parts.map(({ title }) => title)
  for (const { part, argument } of chosen) {
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
