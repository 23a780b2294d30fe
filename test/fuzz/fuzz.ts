/**
 * Random input for every part that reads foreign input. A seed determines a case. seeds.json keeps the seeds of failed cases, and every
 * later run begins with them.
 *
 *     npm run fuzz                                     a minute, shared out among all targets
 *     npm run fuzz -- --seconds=600 --target=graph     one of them for longer
 *     npm run fuzz -- --seed=12 --target=graph         one case again
 *     npm run fuzz -- --from=1                         the same cases each time, as many as there is time for
 */
import { randomInt } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Random } from './random.ts'
import type { Running, Target } from './target.ts'

/** Only the chosen targets are loaded. */
const targets: Readonly<Record<string, () => Promise<Target>>> = {
  front: async () => (await import('./targets/front.ts')).front,
  upstream: async () => (await import('./targets/upstream.ts')).upstream,
  references: async () => (await import('./targets/references.ts')).references,
  addresses: async () => (await import('./targets/addresses.ts')).addresses,
  credentials: async () => (await import('./targets/credentials.ts')).credentials,
  cursors: async () => (await import('./targets/cursors.ts')).cursors,
  manifests: async () => (await import('./targets/manifests.ts')).manifests,
  graph: async () => (await import('./targets/graph.ts')).graph,
  'api-server': async () => (await import('./targets/api-server.ts')).apiServer,
}
const seedsFile = join(import.meta.dirname, 'seeds.json')
/** Milliseconds. A case waits at most for one deadline of the proxy. */
const caseMs = 20_000
/** Failures after which a target ends: later ones would have the same cause. */
const maxFailures = 5
const maxSeed = 2 ** 32
/** Message and position of an error. */
const stackLines = 6

interface Failure {
  readonly seed: number
  readonly error: Error
}

interface Outcome {
  readonly cases: number
  readonly seconds: number
  readonly failures: readonly Failure[]
}

interface Plan {
  /** Seeds that run even without time left. */
  readonly seeds: readonly number[]
  /** Afterwards as many cases as time permits, from this seed on; undefined for none. */
  readonly from: number | undefined
  readonly milliseconds: number
}

class UsageError extends Error {
  override readonly name = 'UsageError'
}

const print = (text: string): void => void process.stdout.write(`${text}\n`)

/** An uncaught error would end the proxy, so it fails every running case. */
let onCrash: (error: Error) => void = () => undefined
process.on('uncaughtException', (error) => onCrash(error))
process.on('unhandledRejection', (error) => onCrash(error as Error))

const runCase = async (running: Running, seed: number): Promise<Failure | undefined> => {
  const over = new AbortController()
  const late = sleep(caseMs, undefined, { signal: over.signal }).then(() => {
    throw new Error(`it takes more than ${caseMs / 1000} s`)
  })
  late.catch(() => undefined)
  const crash = new Promise<never>((_resolve, reject) => {
    onCrash = (error) => reject(new Error(`the process would have ended: ${error.stack}`, { cause: error }))
  })
  crash.catch(() => undefined)
  try {
    await Promise.race([running.run(new Random(seed), seed), late, crash])
    return undefined
  } catch (error) {
    return { seed, error: error as Error }
  } finally {
    over.abort()
  }
}

const runTarget = async (target: Target, { seeds, from, milliseconds }: Plan): Promise<Outcome> => {
  const began = performance.now()
  const failures: Failure[] = []
  const running = await target.start()
  let cases = 0
  const queue = [...seeds]
  let next = from ?? 0
  const isOver = () => from === undefined || performance.now() - began > milliseconds
  const worker = async () => {
    while (failures.length < maxFailures && (queue.length > 0 || !isOver())) {
      const seed = queue.shift() ?? next++ % maxSeed
      cases += 1
      const failure = await runCase(running, seed)
      if (failure !== undefined) failures.push(failure)
      // Lets the work of a case end, and lets the other targets run.
      if (cases % 50 === 0) await sleep(0)
    }
  }
  await Promise.all(Array.from({ length: target.parallel ?? 1 }, worker))
  await running.close().catch((error: Error) => failures.push({ seed: -1, error }))
  return { cases, seconds: (performance.now() - began) / 1000, failures }
}

type Seeds = Record<string, number[]>

const readSeeds = (): Seeds => JSON.parse(readFileSync(seedsFile, 'utf8')) as Seeds

/** Adds failed seeds to those that run first. */
const keep = async (kept: Seeds, { name }: Target, failures: readonly Failure[]): Promise<void> => {
  const { format } = await import('prettier')
  const seeds = failures.map(({ seed }) => seed).filter((seed) => seed >= 0)
  kept[name] = [...new Set([...(kept[name] ?? []), ...seeds])].toSorted((a, b) => a - b)
  writeFileSync(seedsFile, await format(JSON.stringify(kept), { parser: 'json', printWidth: 110 }))
}

const tell = ({ name, about }: Target, { cases, seconds, failures }: Outcome): void => {
  const result = failures.length === 0 ? 'ok    ' : 'FAILED'
  print(
    `${result} ${name.padEnd(12)} ${String(cases).padStart(7)} cases ${seconds.toFixed(1).padStart(5)} s   ${about}`,
  )
  for (const { seed, error } of failures) {
    print(`\n  ${seed < 0 ? 'all together' : `npm run fuzz -- --target=${name} --seed=${seed}`}`)
    print(
      (error.stack ?? error.message).split('\n').slice(0, stackLines).join('\n').replaceAll(/^/gm, '    '),
    )
  }
}

interface Options {
  readonly chosen: readonly string[]
  readonly seconds: number
  readonly seed: number | undefined
  /** The first seed; random unless given. */
  readonly from: number | undefined
}

const numberOf = (flag: string, text: string | undefined, most: number): number | undefined => {
  if (text === undefined) return undefined
  const value = Number(text)
  if (!/^\d+$/.test(text) || value >= most)
    throw new UsageError(`--${flag}=${text}: expected a number below ${most}`)
  return value
}

/** @throws {UsageError} */
const parseOptions = (args: readonly string[]): Options => {
  const option = { type: 'string' } as const
  let values: {
    readonly seconds?: string
    readonly seed?: string
    readonly from?: string
    readonly target?: string
  }
  try {
    values = parseArgs({
      args: [...args],
      options: { seconds: option, seed: option, from: option, target: option },
    }).values
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
  const { target } = values
  const chosen = Object.keys(targets).filter((name) => target === undefined || name === target)
  if (chosen.length === 0) throw new UsageError(`there is no target ${target}`)
  return {
    chosen,
    seconds: numberOf('seconds', values.seconds, 86_400) ?? 60,
    seed: numberOf('seed', values.seed, maxSeed),
    from: numberOf('from', values.from, maxSeed),
  }
}

const fuzz = async ({ chosen, seconds, seed, from }: Options): Promise<void> => {
  const kept = readSeeds()
  const first = from ?? randomInt(maxSeed)
  const ends = performance.now() + seconds * 1000
  let failed = 0
  if (seed === undefined) print(`${seconds} s, seeds from ${first} on; first those that failed once`)
  const all = await Promise.all(chosen.map(async (name) => await (targets[name] as () => Promise<Target>)()))
  const sharesFrom = (index: number) => all.slice(index).reduce((sum, { shares = 1 }) => sum + shares, 0)
  for (const [index, target] of all.entries()) {
    const plan: Plan = {
      seeds: seed === undefined ? (kept[target.name] ?? []) : [seed],
      from: seed === undefined ? first : undefined,
      // The other targets get the time that a target does not use.
      milliseconds: Math.max(0, ((ends - performance.now()) * (target.shares ?? 1)) / sharesFrom(index)),
    }
    const outcome = await runTarget(target, plan)
    tell(target, outcome)
    failed += outcome.failures.length
    if (outcome.failures.length > 0) await keep(kept, target, outcome.failures)
  }
  if (failed > 0) throw new Error(`${failed} cases failed`)
}

try {
  await fuzz(parseOptions(process.argv.slice(2)))
  process.exit(0)
} catch (error) {
  process.stderr.write(`fuzz: ${(error as Error).message}\n`)
  if (error instanceof UsageError)
    process.stderr.write(
      ['the targets are', ...Object.keys(targets).map((name) => `  ${name}`), ''].join('\n'),
    )
  process.exit(error instanceof UsageError ? 2 : 1)
}
