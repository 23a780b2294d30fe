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

interface Rules {
  readonly spec: { readonly groups: readonly { readonly name: string }[] }
}

/** A directory for promtool: the rules next to the tests. */
const prepare = async (t: Test, change: (spec: Rules['spec']) => Rules['spec'] = (spec) => spec) => {
  const directory = t.testdir({})
  const specs = await Promise.all(
    ['components/monitoring', 'components/cache-alerts', 'mirror'].map(async (directory) => {
      const manifest = join(root, 'manifests', directory, 'prometheusrule.yaml')
      return loadYaml<Rules>(await readFile(manifest, 'utf8')).spec
    }),
  )
  const spec = { groups: specs.flatMap(({ groups }) => groups) }
  await writeFile(join(directory, 'rules.yaml'), dumpYaml(change(spec)))
  for (const file of files) await cp(join(tests, file), join(directory, file))
  return (...args: string[]) => run('promtool', args, { cwd: directory, timeout: 120_000 })
}

await test('promtool accepts the rules', { skip }, async (t) => {
  const promtool = await prepare(t)
  const { code, output } = await promtool('check', 'rules', 'rules.yaml')
  t.equal(code, 0, output)
  t.match(output, /SUCCESS: \d+ rules found/)
})

await test('each alert fires, and stays quiet before', { skip }, async (t) => {
  const promtool = await prepare(t)
  for (const file of files) {
    const { code, output } = await promtool('test', 'rules', file)
    t.equal(code, 0, `${file}: ${output}`)
  }
})

await test('the tests fail without the rules', { skip }, async (t) => {
  const promtool = await prepare(t, (spec) => ({
    ...spec,
    groups: spec.groups.map(({ name }) => ({ name, rules: [] })),
  }))
  for (const file of files) {
    const { code, output } = await promtool('test', 'rules', file)
    t.not(code, 0, file)
    t.match(output, 'FAILED', file)
  }
})
