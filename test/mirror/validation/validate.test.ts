import t from 'tap'
import { validate } from '../../../src/mirror/validation/validate.ts'

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

/** `@` stands where the problem is; an entry of supplementalCIImages, or other sections. */
const wrong: readonly (readonly [title: string, yaml: string, message: RegExp])[] = [
  ['no slash', '  @ab:c: {image: quay.io/a/b:c}', /is not a target/],
  ['two slashes', '  @a/b/c:d: {image: quay.io/a/b:c}', /is not a target/],
  ['no tag', '  @a/b: {image: quay.io/a/b:c}', /is not a target/],
  ['no source', '  a/b:c: @{}', /namespace, name, tag for the source .* not set/],
  ['half a source', '  a/b:c: @{namespace: a, name: b}', /tag for the source .* not set/],
  ['as', '  a/b:c: {image: quay.io/a/b:c, as: @x}', /sets as/],
  ['unknown key', '  a/b:c: {image: quay.io/a/b:c, @imgae: x}', /"imgae" is not a key/],
  ['key twice in two spellings', '  a/b:c: {image: quay.io/a/b:c, @Image: x}', /has image twice/],
  ['key twice', '  a/b:c: {image: quay.io/a/b:c, @image: x}', /a key is written twice/],
  ['number', '  a/b:4.10: {namespace: a, name: b, tag: @4.10}', /4\.10 is not text/],
  ['list as an image', '  a/b:c: {image: @[quay.io/a/b:c]}', /has a map or a list where text belongs/],
  ['list as an entry', '  a/b:c: @[quay.io/a/b:c]', /is not a map/],
  ['scheme', '  a/b:c: {image: @"https://quay.io/a/b:c"}', /begins with a scheme/],
  ['repository in upper case', '  a/b:c: {image: @quay.io/A/b:c}', /where a repository belongs/],
  ['short digest', '  a/b:c: {image: @"quay.io/a/b@sha256:abc"}', /where a digest belongs/],
  ['bad tag', '  a/b:c: {image: @"quay.io/a/b:.c"}', /where a tag belongs/],
  ['docker.io', '  @a/b:c: {image: docker.io/a/b:c}', /is from docker\.io/],
  ['Docker Hub without a host', '  @a/b:c: {image: fedora}', /is from docker\.io/],
  ['another name of Docker Hub', '  @a/b:c: {image: registry-1.docker.io/a/b:c}', /is from docker\.io/],
  ['long target', `  @a/b:${'c'.repeat(90)}: {image: quay.io/a/b:c}`, /is too long/],
  ['characters of a target', '  @a/b:c+d: {image: quay.io/a/b:c}', /is not a tag/],
  ['reads as a prune tag', '  @20260101000000/prune_a:b: {image: quay.io/a/b:c}', /taken for something else/],
  [
    'one tag in QCI',
    '  x/b_c:d: {image: quay.io/a/b:c}\n  @x/b:c_d: {image: quay.io/a/b:d}',
    /x\/b:c_d has the tag of x\/b_c:d/,
  ],
  ['promoted', '  @ocp/5.0:cli: {image: quay.io/a/b:c}', /would overwrite a promoted tag/],
  ['onto itself', '  @a/b:c: {image: quay.io/openshift/ci:a_b_c}', /onto itself/],
  ['unknown section', 'sections:\n@supplementalImages: {}', /is not a key of the configuration/],
  ['not in QCI', 'sections:\nqciToAppCIImages:\n  a/b:c: {image: @quay.io/a/b:c}', /is not in QCI/],
  ['namespace for app.ci', 'sections:\nqciToAppCIImages:\n  a/b:c: @{namespace: a}', /sets namespace/],
  ['name for app.ci', 'sections:\nqciToAppCIImages:\n  @a_b/b:c: {}', /cannot be an ImageStream tag/],
  ['no namespace of ART', 'sections:\nartImages:\n- @name: ^a$', /namespace of artImages\[0\] is not set/],
  ['no name of ART', 'sections:\nartImages:\n- @namespace: a', /name of artImages\[0\] is not set/],
  ['pattern of ART', 'sections:\nartImages:\n- {namespace: a, name: @"("}', /is not a regular expression/],
  ['map for a list', 'sections:\nartImages:\n  @a: b', /artImages is not a list/],
  ['ignored without a source', 'sections:\nignoredSources:\n- @reason: x', /for the source of ignored/],
]

/** With the wrong text somewhere among the good entries. */
const built = (yaml: string, random: () => number): string => {
  const entries = goodEntries(random)
  if (yaml.startsWith('sections:\n')) return `supplementalCIImages:\n${entries.join('')}${yaml.slice(10)}\n`
  entries.splice(Math.floor(random() * entries.length), 0, `${yaml}\n`)
  return `supplementalCIImages:\n${entries.join('')}`
}

const promoted = new Map([['ocp_5.0_cli', 'openshift/oc/openshift-oc-main.yaml']])

await t.test('a configuration of 600 targets has no problem', async (t) => {
  t.strictSame(validate(built('', randomOf(1)), { promoted }), { problems: [], isValid: true })
})

await t.test('wrong configurations: a sentence with its place and a cure each', async (t) => {
  t.ok(wrong.length >= 30, `${wrong.length} of them`)
  for (const [index, [title, yaml, message]] of wrong.entries()) {
    const marked = built(yaml, randomOf(index + 2))
    // A digest has an @ of its own.
    const offset = marked.search(/@(?!sha256)/)
    const before = marked.slice(0, offset).split('\n')
    const text = marked.slice(0, offset) + marked.slice(offset + 1)
    const { problems, isValid } = validate(text, { promoted })
    const errors = problems.filter(({ severity }) => severity === 'error')
    t.equal(isValid, false, title)
    t.equal(errors.length, 1, `${title}: ${errors.map((error) => error.message).join('; ')}`)
    t.match(errors[0]?.message, message, title)
    t.strictSame(
      errors[0]?.position,
      { line: before.length, column: `${before.at(-1)}`.length + 1 },
      `${title}: position`,
    )
    t.match(errors[0]?.cure, /^[a-z].{10,}[^.]$/, `${title}: cure`)
  }
})

await t.test('what was wrong before the change is a warning', async (t) => {
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
