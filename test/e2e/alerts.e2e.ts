/** The alerts, by promtool of Debian's prometheus: accepted, and each quiet or firing as the files of alerts/ say. */
import { dumpYaml, loadYaml } from '@kubernetes/client-node'
import { cp, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type Test } from 'tap'
import { missing, run } from './process.ts'
import { root } from './stack.ts'

const skip = missing('promtool')
const tests = join(import.meta.dirname, 'alerts')
const files = (await readdir(tests)).toSorted()

interface Rule {
  readonly alert?: string
  readonly record?: string
  readonly expr: string
}

interface Rules {
  readonly spec: { readonly groups: readonly { readonly name: string; readonly rules: readonly Rule[] }[] }
}

const rulesOf = async (directory: string) => {
  const manifest = join(root, 'manifests', directory, 'prometheusrule.yaml')
  return loadYaml<Rules>(await readFile(manifest, 'utf8')).spec.groups
}

const groups = (
  await Promise.all(['components/monitoring', 'components/cache-alerts', 'mirror'].map(rulesOf))
).flat()

/** A directory for promtool: some rules, and a file of tests next to them. */
const prepare = async (t: Test, wanted: (rule: Rule) => boolean, file?: string) => {
  const directory = t.testdir({})
  const chosen = groups.map(({ name, rules }) => ({
    name,
    rules: rules.filter(wanted),
  }))
  await writeFile(join(directory, 'rules.yaml'), dumpYaml({ groups: chosen }))
  if (file !== undefined) await cp(join(tests, file), join(directory, file))
  return (...args: string[]) => run('promtool', args, { cwd: directory, timeout: 120_000 })
}

await test('promtool accepts the rules', { skip }, async (t) => {
  const promtool = await prepare(t, () => true)
  const { code, output } = await promtool('check', 'rules', 'rules.yaml')
  t.equal(code, 0, output)
  t.match(output, /SUCCESS: \d+ rules found/)
})

for (const file of files) {
  await test(`${file}: each alert fires, and stays quiet before`, { skip }, async (t) => {
    const text = await readFile(join(tests, file), 'utf8')
    const named = groups
      .flatMap(({ rules }) => rules)
      .filter(({ alert }) => alert !== undefined && text.includes(`"${alert}"`))
    // promtool evaluates every rule for every minute, so each file has only the rules that it names, and what they are computed from.
    const isNeeded = (rule: Rule) =>
      named.includes(rule) ||
      (rule.record !== undefined && named.some(({ expr }) => expr.includes(rule.record ?? '')))
    const promtool = await prepare(t, isNeeded, file)
    const { code, output } = await promtool('test', 'rules', file)
    t.equal(code, 0, output)
  })

  await test(`${file}: the tests fail without the rules`, { skip }, async (t) => {
    const promtool = await prepare(t, () => false, file)
    const { code, output } = await promtool('test', 'rules', file)
    t.not(code, 0)
    t.match(output, 'FAILED')
  })
}
