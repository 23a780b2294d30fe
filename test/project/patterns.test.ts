/**
 * Attack: a text that a regular expression tries to match from each of its places, or in all of the ways there are. Each one of the source
 * is tried with what is hard for it, because who knows which of them meets foreign text tomorrow.
 */
import { globSync, readFileSync } from 'node:fs'
import t from 'tap'
import { hardTexts, patternsOf } from './patterns.ts'

const files = globSync('src/**/*.ts').toSorted()

const run = (pattern: RegExp, text: string): void => {
  if (pattern.global) text.replaceAll(pattern, '')
  else if (pattern.sticky) {
    const sticky = new RegExp(pattern)
    while ((sticky.exec(text)?.[0] ?? '') !== '');
  } else pattern.test(text)
}

/** Milliseconds of CPU. A linear pattern takes one; a quadratic one takes seconds, however fast the machine is. */
const ceilingMs = 50

/** Milliseconds of CPU of this thread: the load of the machine does not count. */
const cpuMs = (): number => {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}

/** Quadratic time grows 28 times from 12,000 to 64,000 characters. A pattern that would reach the ceiling on the longer text takes more than this on the shorter one. */
const suspectMs = 1

/**
 * The least of some runs: the first ones compile the pattern, and garbage is collected now and then. Less than `enoughMs` ends them.
 */
const leastMs = (pattern: RegExp, text: string, enoughMs: number): number => {
  let least = Infinity
  for (let round = 0; round < 5 && least >= enoughMs; round++) {
    const begun = cpuMs()
    run(pattern, text)
    const elapsed = cpuMs() - begun
    least = Math.min(least, elapsed)
    // Nothing else takes that long. Garbage collection may, but not twice in a row.
    if (elapsed > 10 * ceilingMs || (round > 0 && least > 3 * ceilingMs)) break
  }
  return least
}

/** The first text that takes too long. Short ones first, in small steps: an exponential pattern would never return from a longer one. */
const slowTextOf = (pattern: RegExp): string | undefined => {
  const textsOf = hardTexts(pattern)
  for (const length of [20, 24, 28, 32, 60, 1000])
    for (const text of textsOf(length)) if (leastMs(pattern, text, ceilingMs) >= ceilingMs) return text
  let longer: readonly string[] | undefined
  for (const [index, text] of textsOf(12_000).entries()) {
    const least = leastMs(pattern, text, suspectMs)
    if (least >= ceilingMs) return text
    if (least < suspectMs) continue
    longer ??= textsOf(64_000)
    const most = longer[index] as string
    if (leastMs(pattern, most, ceilingMs) >= ceilingMs) return most
  }
  return undefined
}

await t.test('every regular expression of the source is linear on 64 kB of its worst', async (test) => {
  let count = 0
  for (const file of files)
    for (const pattern of patternsOf(readFileSync(file, 'utf8'))) {
      count += 1
      const slow = slowTextOf(pattern)
      if (slow !== undefined) test.fail(`${file}: ${pattern} on ${JSON.stringify(slow.slice(0, 60))}`)
    }
  test.ok(count > 60, `${count} of them`)
})

await t.test('patterns that are built at run time come from the operator, in these files', async (test) => {
  const made = files.filter((file) => readFileSync(file, 'utf8').includes('new RegExp('))
  test.same(made, [
    'src/access/restricted-namespaces.ts',
    'src/mirror/config/go-pattern.ts',
    'src/telemetry/logging.ts',
  ])
})

await t.test('the test finds slow patterns of every kind', async (test) => {
  for (const pattern of [
    /(https?:\/\/[^\s?"'\\]+)\?(?:[^\s"'\\]|\\[^"'])*/g,
    /\s+$/,
    /^(?:a+)+$/,
    /[a-z]+=(?:"[^"]*"|[^,]*),/gi,
  ])
    test.not(slowTextOf(pattern), undefined, String(pattern))
})

await t.test('the test accepts linear patterns', async (test) => {
  for (const pattern of [
    /^[a-z]+\d+$/,
    /^(?:[a-z0-9]+)(?:[._-][a-z0-9]+)*$/,
    /\?/,
    /^a{1,64}b$/,
    /[ \t,]*"([^"]*)"/y,
  ])
    test.equal(slowTextOf(pattern), undefined, String(pattern))
})

await t.test('the literals of a source file, and nothing else', async (test) => {
  const source = [
    'const a = 6 / 2 / 3',
    'const b = /one[/]\\/"x/gi.test("/no/") // /no/',
    "const c = f(/two'/u, '/no/', `/no/ ${x.replace(/three`/g, '') / 2 / 1} /no/`)",
    '/* /no/ */ return /four/',
    'const d = (1 + 2) / 3 / x[0] / 4',
    'const e = `${`${/five/}`} ${{ a: /six/ }}` / 2',
  ].join('\n')
  test.same(patternsOf(source).map(String), [
    '/one[/]\\/"x/gi',
    "/two'/u",
    '/three`/g',
    '/four/',
    '/five/',
    '/six/',
  ])
})
