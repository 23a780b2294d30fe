/**
 * The documents: links resolve, README is short, and a command is either run by a test or marked as needing a cluster.
 */
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'

const documents = [...globSync('*.md'), ...globSync('docs/*.md')].toSorted()
const textOf = (file: string): string => readFileSync(file, 'utf8')
const withoutCode = (text: string): string => text.replaceAll(/^```[\s\S]*?^```$/gm, '')

/** As GitHub makes them of headings, and those that stand there. */
const anchorsOf = (file: string): readonly string[] => {
  const text = withoutCode(textOf(file))
  const headings = [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  )
  return [...headings, ...[...text.matchAll(/<a id="([^"]+)">/g)].map(([, id = '']) => id)]
}

await t.test('every link leads to a file, and to a heading of it', async (test) => {
  let links = 0
  for (const file of documents)
    for (const [, link = ''] of withoutCode(textOf(file)).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(link)) continue
      links += 1
      const [path = '', anchor] = link.split('#')
      const target = path === '' ? file : join(dirname(file), path)
      test.ok(existsSync(target), `${file}: ${link}`)
      if (anchor !== undefined && existsSync(target))
        test.ok(anchorsOf(target).includes(anchor), `${file}: ${link}`)
    }
  test.ok(links > 30, `${links} of them`)
})

await t.test('README is read in five minutes', async (test) => {
  const words = textOf('README.md').split(/\s+/).length
  test.ok(words >= 1000 && words <= 1250, `${words} words`)
})

/** What runs the commands of the documents: a test that holds the command itself, or the pipeline. */
const runners: Readonly<Record<string, string>> = {
  'npm ci && npm start': '.ci/run',
  'npm ci && npm test': '.ci/run',
  'npm run test:e2e': '.ci/run',
  'export KUBEBUILDER_ASSETS': '.ci/run',
  'podman login': 'test/e2e/podman.e2e.ts',
  'podman pull': 'test/e2e/podman.e2e.ts',
  'podman build': 'test/project/manifests.test.ts',
  'oc create secret': 'test/project/manifests.test.ts',
  'openssl rand': 'test/e2e/shared-state.e2e.ts',
}
/** They need app.ci, or a registry to push to. */
const onCluster = new Set(['oc apply -k manifests'])

await t.test('every command is run by a test, or is marked as needing a cluster', async (test) => {
  let commands = 0
  for (const file of documents)
    for (const [block, mark = ''] of textOf(file).matchAll(/(<!--[^>]*-->\n\n)?```console\n[\s\S]*?\n```/g)) {
      if (mark.startsWith('<!-- needs a cluster')) continue
      for (const [, command = ''] of block.matchAll(/^\$ (.*)$/gm)) {
        commands += 1
        const runner = Object.entries(runners).find(([start]) => command.startsWith(start))
        test.ok(onCluster.has(command) || runner !== undefined, `${file}: ${command}`)
        if (runner !== undefined) test.ok(existsSync(runner[1]), runner[1])
      }
    }
  test.ok(commands > 10, `${commands} of them`)
})
