/**
 * The documents say what is so: links resolve, paths, flags and metrics exist, and each block of commands is marked with the test that
 * runs it, or as needing a cluster.
 */
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { usage as helperUsage } from '../../src/credential-helper/run.ts'
import { help as mirrorHelp } from '../../src/mirror/run.ts'
import { aliases, deprecatedFlags, flags } from '../../src/config/flags.ts'

const documents = [...globSync('*.md'), ...globSync('docs/*.md')].toSorted()
const textOf = (file: string): string => readFileSync(file, 'utf8')
const withoutCode = (text: string): string => text.replaceAll(/^ *```[\s\S]*?^ *```$/gm, '')
const withoutComments = (text: string): string => text.replaceAll(/<!--[\s\S]*?-->/g, '')
const codeIn = (text: string): readonly string[] =>
  [...withoutCode(text).matchAll(/`([^`\n]+)`/g)].map(([, code = '']) => code)

/** The anchors that GitHub makes of headings, and those that the document writes itself. */
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

await t.test('README links to each document', async (test) => {
  for (const file of documents.filter((document) => document !== 'README.md'))
    test.match(textOf('README.md'), `](${file})`)
})

await t.test('README has 1,000 to 1,200 words', async (test) => {
  const words = withoutComments(textOf('README.md')).split(/\s+/).filter(Boolean).length
  test.ok(words >= 1000 && words <= 1200, `${words} words`)
})

/** `podman login -u=...` is `podman login`, `npm run bench -- hostile` is `npm run bench`. */
const programOf = (command: string): readonly string[] => {
  const words = command.trim().split(/[\s=]+/)
  return words.slice(0, words[1] === 'run' ? 3 : 2)
}
/** As a test calls it: `podman login`, `podman.login(`, `'podman', 'login'`. */
const called = (words: readonly string[]): RegExp =>
  new RegExp(words.map((word) => RegExp.escape(word)).join(String.raw`\W+`))

await t.test('every block of commands is run by a test that exists, or needs a cluster', async (test) => {
  const blocks = { run: 0, cluster: 0 }
  for (const file of documents) {
    const marked = /(?:^ *<!-- (.*?) -->\n\n)?^ *```(?:console|sh|shell|bash)\n([\s\S]*?)\n *```$/gm
    for (const [, mark = '', block = ''] of textOf(file).matchAll(marked)) {
      const commands = [...block.matchAll(/^ *\$ (.*)$/gm)].flatMap(([, line = '']) => line.split(/&&|\|/))
      test.ok(commands.length > 0, `${file}: ${block}`)
      if (mark === 'needs a cluster') {
        blocks.cluster += 1
        continue
      }
      blocks.run += 1
      const [, runner = '', title = ''] = /^run by ([^\s:]+)(?:: (.*))?$/.exec(mark) ?? []
      test.ok(existsSync(runner), `${file}: "${mark}" before ${block}`)
      if (!existsSync(runner)) continue
      test.ok(textOf(runner).includes(title), `${runner}: ${title}`)
      for (const command of commands) test.match(textOf(runner), called(programOf(command)), command)
    }
  }
  test.ok(blocks.run >= 5, `${blocks.run} that are run`)
  test.ok(blocks.cluster >= 3, `${blocks.cluster} that need a cluster`)
})

await t.test('every `npm run` is a script', async (test) => {
  const { scripts } = JSON.parse(textOf('package.json')) as { scripts: Readonly<Record<string, string>> }
  for (const file of documents)
    for (const [, name = ''] of textOf(file).matchAll(/npm run (?:-s )?([a-z][\w:-]*)/g))
      test.ok(Object.hasOwn(scripts, name), `${file}: npm run ${name}`)
})

await t.test('every path exists', async (test) => {
  let paths = 0
  for (const file of documents)
    for (const code of codeIn(textOf(file))) {
      // `test/<room>/<file>.test.ts` stands for many.
      if (!/^(?:src|test|docs|manifests|\.ci)\/[\w./-]+$/.test(code) || code.includes('/x.')) continue
      paths += 1
      test.ok(existsSync(code), `${file}: ${code}`)
    }
  test.ok(paths > 10, `${paths} of them`)
})

/** Of other commands than serve, and of other programs. */
const otherFlags = new Set(
  'check rbac verbose json seed creds user referrers audience disable-sigusr1 log-level server server-ca-file token-file as-user as-group'.split(
    ' ',
  ),
)
/** Of ci-images-mirror, and of docker-credential-quay-proxy. */
const mirrorFlags = mirrorHelp.match(/(?<=--)[a-z][\w-]+/g) ?? []
const helperFlags = helperUsage.match(/(?<=--)[a-z][a-z-]+/g) ?? []
const kubeletFlags = ['image-credential-provider-bin-dir', 'image-credential-provider-config']

await t.test('every flag exists', async (test) => {
  const known = new Set([
    ...Object.values(flags).map(({ name }) => name),
    ...Object.keys({ ...aliases, ...deprecatedFlags }),
    ...otherFlags,
    ...mirrorFlags,
    ...helperFlags,
    ...kubeletFlags,
  ])
  let named = 0
  for (const file of documents)
    for (const code of codeIn(textOf(file))) {
      const [, flag] = /^--([A-Za-z][\w-]*)/.exec(code) ?? []
      if (flag === undefined) continue
      named += 1
      test.ok(known.has(flag), `${file}: --${flag}`)
    }
  test.ok(named > 40, `${named} of them`)
})

await t.test('every metric exists', async (test) => {
  const known = new Set(codeIn(textOf('docs/metrics.md')))
  for (const file of documents)
    for (const [metric] of textOf(file).matchAll(/quay_proxy_\w+/g))
      test.ok(known.has(metric), `${file}: ${metric}`)
})

await t.test('every trap that a test is named after is described', async (test) => {
  const traps = new Set(anchorsOf('docs/traps.md'))
  const numbers = new Set<string>()
  for (const file of globSync('test/**/*.ts'))
    for (const [, number = ''] of textOf(file).matchAll(/\btraps? (\d+)\b/g)) numbers.add(number)
  test.ok(numbers.size > 30, `${numbers.size} of them`)
  for (const number of numbers) test.ok(traps.has(`trap-${number}`), `trap ${number}`)
})

await t.test('every message that docs/troubleshooting.md explains is one of the proxy', async (test) => {
  const source = globSync('src/**/*.ts').map(textOf).join('\n')
  const rows = [...textOf('docs/troubleshooting.md').matchAll(/^\| (`.*?`[^|]*)\|.*\|.*\|$/gm)]
  let messages = 0
  for (const [, cell = ''] of rows)
    for (const message of codeIn(cell))
      // NAME and N stand for what the source puts in.
      for (const words of message.split(/\.\.\.|\b[A-Z]+\b|[();]|: /)) {
        const fixed = words.trim()
        if (fixed.length < 12) continue
        messages += 1
        test.ok(source.includes(fixed), fixed)
      }
  test.ok(messages > 30, `${messages} of them`)
})
