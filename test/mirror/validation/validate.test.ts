import t from 'tap'
import { validate, withProblems } from '../../../src/mirror/validation/validate.ts'
import { promoted, split, wrongConfigurations } from './wrong-configurations.ts'

const digest = `sha256:${'a'.repeat(64)}`

/** A number from 0 to below 1, the same sequence for the same seed. */
const randomOf = (seed: number) => (): number => {
  seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
  return seed / 2_147_483_648
}

/** Like the real configuration: some 600 targets, in no order, with comments and odd names. */
const goodEntries = (random: () => number): string[] =>
  Array.from({ length: 600 }, (_, index) => {
    const name = `team-${Math.floor(random() * 40)}/image-${index}`
    const tag = ['latest', 'v1.2.3', '"9.6"', '8', 'RELEASE.2025-09-07T16-13-09Z'][
      Math.floor(random() * 5)
    ] as string
    const key = `${name}:${tag.replaceAll('"', '')}`
    if (index % 30 === 0)
      return `  ${key}: # moved\n    namespace: coreos\n    name: base-${index}\n    tag: ${tag}\n`
    return `  ${key}:\n    image: quay.io/${name}:${tag.replaceAll('"', '')}\n`
  })

/** With the wrong text somewhere among the good entries. */
const built = (yaml: string, random: () => number): string => {
  const entries = goodEntries(random)
  if (yaml.startsWith('sections:\n')) return `supplementalCIImages:\n${entries.join('')}${yaml.slice(10)}\n`
  entries.splice(Math.floor(random() * entries.length), 0, `${yaml}\n`)
  return `supplementalCIImages:\n${entries.join('')}`
}

await t.test('a configuration of 600 targets has no problem', async (t) => {
  t.strictSame(validate(built('', randomOf(1)), { promoted }), { problems: [], isValid: true })
})

await t.test('wrong configurations: a sentence with its place and a cure each', async (t) => {
  t.ok(wrongConfigurations.length >= 30, `${wrongConfigurations.length} of them`)
  for (const [index, [title, yaml, message]] of wrongConfigurations.entries()) {
    const { text, position } = split(built(yaml, randomOf(index + 2)))
    const { problems, isValid } = validate(text, { promoted })
    const errors = problems.filter(({ severity }) => severity === 'error')
    t.equal(isValid, false, title)
    t.equal(errors.length, 1, `${title}: ${errors.map((error) => error.message).join('; ')}`)
    t.match(errors[0]?.message, message, title)
    t.strictSame(errors[0]?.position, position, `${title}: position`)
    t.match(errors[0]?.cure, /^[a-z].{10,}[^.]$/, `${title}: cure`)
  }
})

await t.test('a problem that the previous version already had is a warning', async (t) => {
  const base = 'supplementalCIImages:\n  a/b_c:d: {image: quay.io/a/b:c}\n  a/b:c_d: {image: quay.io/a/b:d}\n'
  const moved = base.replace('\n', '\n  a/x:y: {image: quay.io/a/b:c}\n')
  t.equal(validate(base).isValid, false)
  const { problems, isValid } = validate(moved, { base })
  t.equal(isValid, true)
  t.match(problems, [{ severity: 'warning', message: /\(this was so before the change\)$/ }])
  t.equal(validate(`${moved}  a/z:y: {image: fedora}\n`, { base }).isValid, false)
})

await t.test('a source that a change makes wrong is an error', async (t) => {
  const base = `supplementalCIImages:\n  a/b:c: {image: "quay.io/a/b@${digest}"}\n`
  t.equal(validate(base.replace('quay.io/a/b', 'fedora'), { base }).isValid, false)
})

await t.test('problems of another check', async (t) => {
  const offline = validate('supplementalCIImages:\n  a/b_c:d: {image: fedora}\n')
  const found = {
    severity: 'error',
    position: { line: 1, column: 1 },
    subject: 'x',
    message: 'y',
    cure: 'z',
  } as const
  const { problems, isValid } = withProblems(offline, [found])
  t.equal(problems[0], found)
  t.equal(isValid, false)
  t.equal(withProblems({ problems: [], isValid: true }, [{ ...found, severity: 'warning' }]).isValid, true)
})
