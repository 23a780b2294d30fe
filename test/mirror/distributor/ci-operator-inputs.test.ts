import t from 'tap'
import { readFileInputs } from '../../../src/mirror/distributor/ci-operator-inputs.ts'
import { testInputs } from '../../../src/mirror/distributor/test-inputs.ts'

const ref = (name: string) => `{namespace: ocp, name: '4.5', tag: ${name}}`
const tagsOf = (...texts: readonly string[]) =>
  [...testInputs(texts.map(readFileInputs)).tags].map((tag) => tag.replace('ocp/4.5:', '')).toSorted()

await t.test('tags that a configuration names itself', async (t) => {
  const text = `
zz_generated_metadata: {org: openshift, repo: installer, branch: release-4.10, variant: okd}
base_images:
  one: ${ref('base')}
  two: ${ref('4.10')}
  bad: {namespace: ocp, name: '4.5'}
  worse: {namespace: ocp, name: 'a/b', tag: c}
base_rpm_images: {rpm: ${ref('rpm')}}
build_root: {image_stream_tag: ${ref('root')}, use_build_cache: true, from_repository: true}
tag_specification: {namespace: ocp, name: '4.6'}
releases:
  latest: {integration: {namespace: ocp, name: '4.7'}}
  initial: {release: {version: '4.6'}}
  broken: {integration: {namespace: ocp}}
raw_steps:
- input_image_tag_step: {base_image: ${ref('raw')}}
- source_step: {clonerefs_image: ${ref('clonerefs')}}
- test_step: {as: t, container: {from: src, from_image: ${ref('rawtest')}}}
tests:
- {as: unit, container: {from: src, from_image: ${ref('container')}}}
- as: e2e
  steps: {test: [{as: x, from_image: ${ref('step')}}, {as: y, from: cli}]}
- as: literal
  literal_steps:
    pre: [{as: p, from_image: ${ref('pre')}}]
    post: [{as: q, from_image: ${ref('post')}}]
    observers: [{name: o, from_image: ${ref('observer')}}]
`
  t.strictSame(tagsOf(text), [
    '4.10',
    'base',
    'build-cache/openshift-installer:release-4.10-okd',
    'clonerefs',
    'container',
    'observer',
    'post',
    'pre',
    'raw',
    'rawtest',
    'root',
    'rpm',
    'step',
  ])
  t.strictSame([...testInputs([readFileInputs(text)]).streams], ['ocp/4.6', 'ocp/4.7'])
})

const registry = [
  `ref: {as: install, from_image: ${ref('installer')}, observers: [watcher]}`,
  `ref: {as: unused, from_image: ${ref('unused')}}`,
  `ref: {as: cli, from: cli}`,
  `chain: {as: all, steps: [{chain: inner}, {ref: cli}, {as: own, from_image: ${ref('chain')}}]}`,
  `chain: {as: inner, steps: [{ref: install}, {chain: all}]}`,
  `workflow: {as: ipi, steps: {pre: [{chain: all}], test: [{as: t, from_image: ${ref('default-test')}}], post: [{ref: gone}], observers: {enable: [monitor]}}}`,
  `observer: {name: monitor, from_image: ${ref('monitor')}}`,
  `observer: {name: watcher, from_image: ${ref('watcher')}}`,
  `observer: {name: odd}`,
]
const usedBy = (steps: string) => tagsOf(`tests: [{as: e2e, steps: ${steps}}]`, ...registry)

await t.test('tags that steps of the registry need, if a test uses the steps', async (t) => {
  t.strictSame(usedBy('{}'), [])
  t.strictSame(usedBy('{test: [{ref: unused}]}'), ['unused'])
  t.strictSame(usedBy('{workflow: ipi}'), ['chain', 'default-test', 'installer', 'monitor', 'watcher'])
  t.strictSame(usedBy('{workflow: ipi, pre: [], test: [{ref: cli}]}'), ['monitor'], 'phases of its own')
  t.strictSame(usedBy('{workflow: none, observers: {enable: [watcher, odd, none]}}'), ['watcher'])
})

await t.test('text that is not a configuration adds nothing', async (t) => {
  for (const text of [
    '',
    '5',
    '[]',
    'tests: 5',
    'tests: [5, []]',
    'base_images: [1]',
    'ref: {from: x}',
    'ref: 5',
  ])
    t.strictSame(tagsOf(text), [], text)
  t.throws(() => readFileInputs('a: ['))
  t.throws(() => readFileInputs('a: *b'), /^1:4: the alias \*b stands for nothing/)
  t.throws(() => readFileInputs('a: b\na: c'), /^2:1: a key is written twice/)
})

await t.test('anchors and merge keys are read; attack: aliases of aliases are not', async (t) => {
  const merged = `
x: &x {namespace: ocp, name: '4.5'}
base_images:
  a: {<<: *x, tag: merged}
  b: &b ${ref('anchor')}
  c: *b
`
  t.strictSame(tagsOf(merged), ['anchor', 'merged'])
  const bomb = Array.from({ length: 12 }, (_, index) =>
    index === 0
      ? 'a0: &a0 [x, x, x, x, x, x, x, x]'
      : `a${index}: &a${index} [${`*a${index - 1}, `.repeat(8)}]`,
  )
  t.throws(() => readFileInputs(bomb.join('\n')))
})

await t.test('attack: many aliases, each of an anchor of its own', (t) => {
  const pairs = (count: number) =>
    Array.from({ length: count }, (_, index) => `- &a${index} x\n- *a${index}`).join('\n')
  t.strictSame(readFileInputs(`unused:\n${pairs(1000)}`).streams, [])
  t.throws(() => readFileInputs(`unused:\n${pairs(1001)}`), /more than 1000 aliases/)
  t.end()
})

await t.test('attack: a chain of thousands of chains', async (t) => {
  const chains = Array.from({ length: 20_000 }, (_, index) => ({
    parts: [
      { key: `chain c${index}`, images: index === 19_999 ? ['a/b:c'] : [], uses: [`chain c${index + 1}`] },
    ],
    streams: [],
  }))
  const { tags } = testInputs([readFileInputs('tests: [{steps: {test: [{chain: c0}]}}]'), ...chains])
  t.strictSame([...tags], ['a/b:c'])
})
