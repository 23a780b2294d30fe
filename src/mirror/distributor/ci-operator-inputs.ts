/**
 * Reads one file of openshift/release, and finds the ImageStream tags that it uses as inputs of tests. The file is a configuration of
 * ci-operator or a part of the step registry. Other fields are not read.
 * @see https://github.com/openshift/ci-tools/blob/main/pkg/api/helper/imageextraction.go and pkg/registry/resolver.go
 */
import { readYamlValue } from '../config/yaml-value.ts'
import { formatTarget, parseTarget } from '../names/qci-names.ts'

/** A test or a part of the step registry, with the images and the other parts that it uses. */
export interface Part {
  /** `ref NAME`, `chain NAME`, `observer NAME`, or `pre`, `test`, `post` and `observers` of `workflow NAME`. Undefined for a test. */
  readonly key: string | undefined
  /** `ocp/4.5:cli` */
  readonly images: readonly string[]
  /** Keys. */
  readonly uses: readonly string[]
}

export interface FileInputs {
  readonly parts: readonly Part[]
  /** `ocp/4.5`, with all of its tags. */
  readonly streams: readonly string[]
}

/** @throws {Error} if the text is not YAML, or has a repeated key or too many aliases */
export const readFileInputs = (text: string): FileInputs => {
  const root = objectOf(readYamlValue(text))
  const parts = registryParts(root)
  return parts.length > 0 ? { parts, streams: [] } : configInputs(root)
}

type Json = Readonly<Record<string, unknown>>

const registryParts = (root: Json): readonly Part[] =>
  Object.entries(root).flatMap(([kind, value]): readonly Part[] => {
    const part = objectOf(value)
    // Observers have a `name`, and all others are named by `as`.
    const name = part['as'] ?? part['name']
    if (typeof name !== 'string') return []
    const key = `${kind} ${name}`
    if (kind === 'ref' || kind === 'observer') return [{ key, ...needsOf([part]) }]
    if (kind === 'chain') return [{ key, ...needsOf(part['steps']) }]
    return kind === 'workflow' ? workflowParts(key, objectOf(part['steps'])) : []
  })

const phases = ['pre', 'test', 'post'] as const

const workflowParts = (key: string, steps: Json): readonly Part[] => [
  ...phases.map((phase) => ({ key: `${key} ${phase}`, ...needsOf(steps[phase]) })),
  { key: `${key} observers`, images: [], uses: enabledObservers(steps) },
]

type Needs = Omit<Part, 'key'>

/** @param steps each is a name in the step registry, or a complete step */
const needsOf = (steps: unknown): Needs => {
  const all = objectsIn(steps)
  return {
    images: all.flatMap((step) => tagsIn(step['from_image'])),
    uses: all.flatMap(({ ref, chain, observers }) => [
      ...textsIn([ref]).map((name) => `ref ${name}`),
      ...textsIn([chain]).map((name) => `chain ${name}`),
      ...textsIn(observers).map((name) => `observer ${name}`),
    ]),
  }
}

const enabledObservers = (steps: Json): readonly string[] =>
  textsIn(objectOf(steps['observers'])['enable']).map((name) => `observer ${name}`)

/** A test without a phase uses that of its workflow. */
const testNeeds = (steps: Json): readonly Needs[] => {
  const [workflow] = textsIn([steps['workflow']])
  const inherited = phases.filter((phase) => !Array.isArray(steps[phase]))
  return [
    ...phases.map((phase) => needsOf(steps[phase])),
    { images: [], uses: enabledObservers(steps) },
    ...(workflow === undefined
      ? []
      : [{ images: [], uses: [...inherited, 'observers'].map((part) => `workflow ${workflow} ${part}`) }]),
  ]
}

const configInputs = (config: Json): FileInputs => {
  const rawSteps = objectsIn(config['raw_steps'])
  const tests = [...objectsIn(config['tests']), ...rawSteps.map((step) => objectOf(step['test_step']))]
  const needs = tests.flatMap((test) => [
    ...testNeeds(objectOf(test['steps'])),
    ...testNeeds(objectOf(test['literal_steps'])),
    // Here, observers are complete steps.
    needsOf(objectOf(test['literal_steps'])['observers']),
    needsOf([test['container']]),
  ])
  const images = [...imagesOf(config, rawSteps), ...needs.flatMap((need) => need.images)]
  const uses = needs.flatMap((need) => need.uses)
  const releases = Object.values(objectOf(config['releases'])).map(
    (release) => objectOf(release)['integration'],
  )
  return {
    parts: [{ key: undefined, images: [...new Set(images)], uses: [...new Set(uses)] }],
    streams: [config['tag_specification'], ...releases].flatMap(streamsIn),
  }
}

const imagesOf = (config: Json, rawSteps: readonly Json[]): readonly string[] =>
  [
    ...Object.values(objectOf(config['base_images'])),
    ...Object.values(objectOf(config['base_rpm_images'])),
    ...rawSteps.map((step) => objectOf(step['input_image_tag_step'])['base_image']),
    ...rawSteps.map((step) => objectOf(step['source_step'])['clonerefs_image']),
    objectOf(config['build_root'])['image_stream_tag'],
    buildCacheOf(config),
  ].flatMap(tagsIn)

/** Builds publish their `bin` image for the next build. */
const buildCacheOf = (config: Json): object | undefined => {
  if (objectOf(config['build_root'])['use_build_cache'] !== 'true') return undefined
  const { org, repo, branch, variant } = objectOf(config['zz_generated_metadata'])
  const tag = textsIn([branch, variant]).join('-')
  return { namespace: 'build-cache', name: textsIn([org, repo]).join('-'), tag }
}

/** None if a part of the name is missing. */
const tagsIn = (value: unknown): readonly string[] => {
  const { namespace, name, tag } = objectOf(value)
  const texts = textsIn([namespace, name, tag])
  const target = texts.length === 3 ? parseTarget(`${texts[0]}/${texts[1]}:${texts[2]}`) : undefined
  return target === undefined ? [] : [formatTarget(target)]
}

const streamsIn = (value: unknown): readonly string[] => {
  const { namespace, name } = objectOf(value)
  const texts = textsIn([namespace, name])
  return texts.length === 2 ? [texts.join('/')] : []
}

const objectOf = (value: unknown): Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {}

const objectsIn = (value: unknown): readonly Json[] => (Array.isArray(value) ? value.map(objectOf) : [])

const textsIn = (value: unknown): readonly string[] =>
  Array.isArray(value) ? value.filter((item) => typeof item === 'string' && item !== '') : []
