/** Wrong configurations as the check of a pull request tells them: with the place, the cure and the exit code, in each of its forms. */
import { gzipSync } from 'node:zlib'
import { mkdirSync, writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { run } from '../../../src/mirror/run.ts'
import { split, wrongConfigurations } from '../validation/wrong-configurations.ts'

const folder = t.testdir({
  'ci-operator': {
    config: {
      'oc.yaml': 'images: [{to: cli}]\npromotion:\n  to: [{namespace: ocp, name: "5.0"}]\n',
    },
  },
})
const file = `${folder}/_config.yaml`

const check = async (content: string | Buffer, ...args: readonly string[]) => {
  writeFileSync(file, content)
  const printed: string[] = []
  const errors: string[] = []
  const io = { print: (text: string) => printed.push(text), printError: (text: string) => errors.push(text) }
  const words = [`--config=${file}`, `--release-repo-git-sync-path=${folder}`, ...args]
  const code = await run(['--validate-config-only', ...words], io)
  return { code, output: printed.join('\n'), errors }
}

interface Reported {
  readonly line: number
  readonly column: number
  readonly severity: string
  readonly message: string
  readonly cure: string
  readonly subject: string
}

/** The one error of a file, as each form of the report has it. */
const errorIn = async (t: Test, title: string, content: string | Buffer): Promise<Reported> => {
  const json = await check(content, '--format=json')
  t.equal(json.code, 1, `${title}: exit code`)
  const { problems, ...rest } = JSON.parse(json.output) as { readonly problems: readonly Reported[] }
  t.strictSame(rest, { file, valid: false }, title)
  const found = problems.filter(({ severity }) => severity === 'error')
  t.equal(found.length, 1, `${title}: ${found.map(({ message }) => message).join('; ')}`)
  const error = found[0] as Reported
  const plain = await check(content)
  t.equal(plain.code, 1, title)
  // Control characters of a text are not shown in a sentence.
  const sentence = `${error.message}; ${error.cure}`.replaceAll(/\p{C}/gu, '?')
  t.ok(plain.output.split('\n').includes(`${file}:${error.line}:${error.column}: error: ${sentence}`), title)
  const github = await check(content, '--format=github')
  t.equal(github.code, 1, title)
  const place = `file=${file},line=${error.line},col=${error.column},title=`
  t.ok(
    github.output.split('\n').some((line) => line.startsWith(`::error ${place}`) && line.includes('::', 8)),
    title,
  )
  return error
}

const wholeOf = (yaml: string): string =>
  yaml.startsWith('sections:\n') ? `${yaml.slice(10)}\n` : `supplementalCIImages:\n${yaml}\n`

await t.test('entries', async (t) => {
  for (const [title, yaml, message] of wrongConfigurations) {
    const { text, position } = split(wholeOf(yaml))
    const error = await errorIn(t, title, text)
    t.match(error.message, message, title)
    t.strictSame({ line: error.line, column: error.column }, position, `${title}: position`)
    t.match(error.cure, /^[a-z].{7,}[^.]$/, `${title}: cure`)
  }
})

const good = 'supplementalCIImages:\n  a/b:c: {image: quay.io/a/b:c}\n'
const nested = Array.from({ length: 25 }, (_, index) => `- &a${index + 1} [*a${index}, *a${index}]\n`).join(
  '',
)

/** The whole file is wrong. */
const files: readonly (readonly [title: string, content: string | Buffer, place: string, message: RegExp])[] =
  [
    ['empty', '', '1:1', /the file is empty/],
    ['comments alone', '# nothing\n\n', '1:1', /the file is empty/],
    ['text', 'hello\n', '1:1', /is not a map/],
    ['a list', '- a/b:c\n', '1:1', /is not a map/],
    ['a tab', good.replace('  a', '\ta'), '2:1', /a tab indents this line/],
    ['an open quote', `${good}qciToAppCIImages: "\n`, '4:1', /this is not YAML/],
    ['no colon', `${good}qciToAppCIImages\n`, '3:1', /this is not YAML/],
    ['two documents', `${good}---\n${good}`, '3:1', /a second YAML document/],
    ['a section twice', `${good}supplementalCIImages: {}\n`, '3:1', /written twice/],
    ['not UTF-8', Buffer.from(good.replace('quay', 'qu\u00e4y'), 'latin1'), '2:20', /not text in UTF-8/],
    ['UTF-16', Buffer.from(`\uFEFF${good}`, 'utf16le'), '1:1', /not text in UTF-8/],
    ['a byte order mark, and an error', `\uFEFF${good.replace('a/b:c', 'ab:c')}`, '2:3', /is not a target/],
    ['binary', Buffer.from([0x7f, 0x45, 0x4c, 0x46, 0xff]), '1:5', /not text in UTF-8/],
    ['attack: a huge file', `# ${'x'.repeat(1024 * 1024)}\n${good}`, '1:1', /more than 1048576 bytes/],
    ['attack: a gzip bomb', gzipSync(Buffer.alloc(8_000_000)), '1:1', /more than 1048576 bytes/],
    ['half a gzip file', gzipSync(good).subarray(0, 20), '1:1', /cannot be unpacked/],
  ]

await t.test('files', async (t) => {
  for (const [title, content, place, message] of files) {
    const error = await errorIn(t, title, content)
    t.match(error.message, message, title)
    t.equal(`${error.line}:${error.column}`, place, `${title}: position`)
    t.match(error.cure, /^[a-z].{7,}[^.]$/, `${title}: cure`)
  }
})

await t.test('attack: aliases that double, and merge keys that double', async (t) => {
  const aliases = `qciToAppCIImages:\n  a/b:c: &a0 {}\nartImages:\n${nested}`
  const merges = Array.from({ length: 25 }, (_, index) => {
    return `  a/b:x${index}: &m${index + 1} {<<: [*m${index}, *m${index}]}\n`
  }).join('')
  for (const text of [aliases, `supplementalCIImages:\n  a/b:y: &m0 {image: quay.io/a/b:c}\n${merges}`]) {
    const { code, output } = await check(text, '--format=json')
    t.equal(code, 1)
    // As many as the file has lines, not as many as it would have unfolded.
    const { problems } = JSON.parse(output) as { readonly problems: readonly Reported[] }
    t.ok(problems.length >= 25 && problems.length < 200, `${problems.length} problems`)
  }
})

await t.test('a problem that a change adds is an error, and an older one is a warning', async (t) => {
  const base = `${folder}/base.yaml`
  writeFileSync(base, `${good}  a/x:c: {image: fedora}\n`)
  const kept = await check(
    `${good}  a/y:c: {image: quay.io/a/y:c}\n  a/x:c: {image: fedora}\n`,
    `--base=${base}`,
  )
  t.equal(kept.code, 0)
  t.match(kept.output, /:4:3: warning: source image docker\.io.* \(this was so before the change\); push it/)
  const changed = await check(good.replace('quay.io', 'docker.io'), `--base=${base}`)
  t.equal(changed.code, 1)
  t.match(changed.output, /:2:3: error: source image docker\.io\/a\/b:c is from docker\.io/)
  writeFileSync(base, Buffer.from([0xff]))
  t.match(await check(good, `--base=${base}`), {
    code: 2,
    errors: [/base\.yaml:1:1: the file is not text in UTF-8; save it as UTF-8/],
  })
})

await t.test('paths that are no file', async (t) => {
  mkdirSync(`${folder}/directory`)
  t.match(await check(good, `--config=${folder}/directory`), {
    code: 1,
    output: /directory:1:1: error: the path is a directory; name the file/,
  })
  t.match(await check(good, '--config=/dev/zero'), { code: 1, output: /more than 1048576 bytes/ })
  t.match(await check(good, `--config=${folder}/none`), { code: 2, errors: [/none cannot be read: ENOENT/] })
})
