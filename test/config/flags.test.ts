import { globSync, readFileSync } from 'node:fs'
import t from 'tap'
import { aliases, environmentName, flags, deprecatedFlags } from '../../src/config/flags.ts'
import { flagsDocument } from './flags-document.ts'

const names = new Set(Object.values(flags).map(({ name }): string => name))

await t.test('every fallback is a value of its own flag', async (test) => {
  for (const { name, fallback, parse } of Object.values(flags))
    if (fallback !== undefined) test.not(parse(fallback), undefined, name)
})

await t.test('every flag says what it is for, and what a value looks like', async (test) => {
  for (const { name, help, expected } of Object.values(flags)) {
    test.match(name, /^[a-z]+(?:-[a-z][a-z0-9]*)*$/)
    test.match(help, /^\S.{5,90}$/, name)
    test.match(expected, /^\S.{3,90}$/, name)
  }
})

await t.test('old names lead to flags, and are none themselves', async (test) => {
  for (const [old, key] of Object.entries(aliases)) {
    test.ok(Object.hasOwn(flags, key), key)
    test.notOk(names.has(old), old)
  }
  for (const [name, { reason }] of Object.entries(deprecatedFlags)) {
    test.notOk(names.has(name), name)
    test.match(reason, /^\S.{5,120}$/, name)
  }
  test.equal(names.size, Object.keys(flags).length, 'each name once')
})

await t.test('a flag whose values can be listed lists them all', async (test) => {
  const listed = Object.values(flags).filter(({ choices }) => choices.length > 0)
  for (const { name, choices, expected, parse } of listed) {
    test.equal(choices.join(' or '), expected, name)
    for (const choice of choices) test.not(parse(choice), undefined, name)
  }
  const unlisted = Object.values(flags).filter(({ choices }) => choices.length === 0)
  for (const { name, expected } of unlisted) test.notMatch(expected, /^\S+ or \S+$/, name)
})

await t.test('the name in the environment', async (test) => {
  test.equal(environmentName('listen-addr'), 'QUAY_PROXY_LISTEN_ADDR')
})

await t.test('no variable that the tests want exported keeps the proxy from starting', async (test) => {
  const variables = new Set([...names].map(environmentName))
  const files = ['README.md', '.ci/run', 'test/e2e/tools/build', ...globSync('test/e2e/**/*.ts')]
  test.ok(files.length > 10)
  for (const file of files)
    for (const [name] of readFileSync(file, 'utf8').matchAll(/(?<![A-Z_])QUAY_PROXY_[A-Z_]*[A-Z]/g))
      test.ok(variables.has(name), `${file}: ${name}`)
})

await t.test('docs/flags.md is made from the table', async (test) => {
  // Prettier sets the columns.
  const cells = (text: string) =>
    text
      .split('\n')
      .map((line) => line.replaceAll(/ {2,}/g, ' ').replaceAll(/-{3,}/g, '---'))
      .filter((line) => line !== '')
  test.strictSame(cells(readFileSync('docs/flags.md', 'utf8')), cells(flagsDocument()), 'or run npm run docs')
})
