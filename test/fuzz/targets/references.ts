/** The grammar of references and of QCI's tags. */
import { RegistryError } from '../../../src/oci/errors.ts'
import { createRestrictedNamespaces } from '../../../src/access/restricted-namespaces.ts'
import { createTagOwner, isNamespace, isQciTag, type TagOwner } from '../../../src/oci/qci-tag.ts'
import { parseReference, parseRepository, type Reference } from '../../../src/oci/reference.ts'
import type { Random } from '../random.ts'
import { must, type Target } from '../target.ts'

const isRestricted = createRestrictedNamespaces(['*-priv', '*-private', 'embargoed'])
const ownerOf = createTagOwner(isRestricted)
const monorepo = 'openshift/ci'
const hex = '0123456789abcdef'
/** Milliseconds for 200,000 characters. A linear pattern takes one or two on an idle machine. */
const longMs = 1000

const word = (random: Random): string =>
  random.pick([
    'ocp',
    'ci',
    'art',
    'prune',
    'sha256',
    'rc',
    'incoming',
    '4.5',
    'base',
    'pre',
    'x',
    '20240603',
  ]) + random.pick(['', '', random.text('abcz019-', 1 + random.below(4)), random.text('._-', 1)])

const namespaceFrom = (random: Random): string => {
  for (;;) {
    const suffix = random.pick(['', '', '-priv', '-private', '-privat', '-priv-x'])
    const text = random.pick([
      word(random) + suffix,
      'embargoed',
      'ocp-priv',
      '20240603235401',
      '20240603',
      'art',
    ])
    if (isNamespace(text)) return text
  }
}

const nameFrom = (random: Random): string =>
  random
    .some(['a', '4', 'base', 'sha256', 'prune', 'pre', 'ocp-priv'], 1 + random.below(3))
    .join(random.pick(['.', '_', '__', '-', '--']))

const tagFrom = (random: Random): string =>
  random.pick([
    () => word(random),
    () => random.text('abzAZ09._-', 1 + random.below(20)),
    () => `sha256-${random.text(hex, 64)}${random.pick(['', '.sig', '.att', '.'])}`,
    () => `${namespaceFrom(random)}_${nameFrom(random)}_${word(random)}`,
  ])()

/** What copies and stages of a tag are called. */
const wrappings: readonly ((random: Random, tag: string) => string)[] = [
  (random, tag) => `${random.text('0123456789', 14)}_prune_${tag}`,
  (_random, tag) => `__ci_images_mirror__${tag}`,
  (_random, tag) => `art__${tag}`,
  (_random, tag) => `${tag}_incoming`,
  (_random, tag) => `${tag}__pre`,
  (_random, tag) => `${tag}__post1`,
]
/** Families that nobody knows yet. */
const unknown: readonly ((random: Random, tag: string) => string)[] = [
  (_random, tag) => `preserved__${tag}`,
  (random, tag) => `${random.text('abc-', 5)}__${tag}`,
  (random, tag) => `${random.text('0123456789', 8)}_${tag}`,
  (_random, tag) => `${tag}__tomorrow`,
  (_random, tag) => tag.toUpperCase(),
]

const wrap = (random: Random, tag: string, ways: typeof wrappings): string => {
  let wrapped = tag
  for (let depth = random.below(5); depth > 0; depth--) {
    const next = random.pick(ways)(random, wrapped)
    if (isQciTag(next)) wrapped = next
  }
  return wrapped
}

const namespaceOf = (owner: TagOwner): string | undefined =>
  owner.by === 'image-stream' ? owner.imageStream.namespace : undefined

const parse = (path: readonly [string, string], reference: string): Reference | RegistryError => {
  try {
    return parseReference(parseRepository(...path, monorepo), reference, ownerOf)
  } catch (error) {
    if (error instanceof RegistryError) return error
    throw error
  }
}

/** Either form leads to the same tag and the same owner, and the image stream form to no other namespace. */
const bothForms = (random: Random): void => {
  const [namespace, name, tag] = [namespaceFrom(random), nameFrom(random), tagFrom(random)]
  const joined = parse([namespace, name], tag)
  if (joined instanceof RegistryError || joined.kind !== 'tag') return
  const { qciTag, owner } = joined
  const single = parse(['openshift', 'ci'], qciTag)
  must(
    !(single instanceof RegistryError) && single.kind === 'tag',
    'a tag of one form is one of the other',
    qciTag,
  )
  must(JSON.stringify((single as typeof joined).owner) === JSON.stringify(owner), 'with the same owner', {
    qciTag,
    owner,
  })
  if (qciTag === tag) return
  must(qciTag === `${namespace}_${name}_${tag}`, 'it is joined of what was asked for', qciTag)
  must(namespaceOf(owner) === namespace, 'and belongs to the namespace that was named', { qciTag, owner })
}

const wrapped = (random: Random): void => {
  const tag = `${namespaceFrom(random)}_${nameFrom(random)}_${tagFrom(random)}`
  // Without a name behind its namespace it is no image's.
  if (!isQciTag(tag) || tag.endsWith('_')) return
  const owner = ownerOf(tag)
  const namespace = namespaceOf(owner)
  if (namespace !== undefined && isRestricted(namespace)) {
    const anyhow = wrap(random, tag, [...wrappings, ...unknown])
    const still = namespaceOf(ownerOf(anyhow))
    must(still !== undefined && isRestricted(still), 'what is restricted stays so under any wrapping', {
      tag,
      anyhow,
    })
  }
  const copy = wrap(random, tag, wrappings)
  const ofCopy = ownerOf(copy)
  must(ofCopy.by === owner.by && namespaceOf(ofCopy) === namespace, 'a copy belongs to whom the image does', {
    tag,
    owner,
    copy,
    ofCopy,
  })
  if (owner.by === 'digest')
    must(JSON.stringify(ofCopy) === JSON.stringify(owner), 'of the same digest', { tag, copy })
}

const junk = (random: Random): void => {
  const text = () =>
    random.pick([
      () => random.bytes(random.below(200)).toString('latin1'),
      () => random.mutated(Buffer.from(`${namespaceFrom(random)}_${tagFrom(random)}`)).toString(),
      () => random.mutated(Buffer.from(random.digest())).toString(),
      () => random.pick(['__proto__', 'constructor', '', '..', '%2e', 'sha256:', '\u{1f600}', '\ud800']),
    ])()
  const [namespace, name, reference] = [text(), text(), text()]
  parse([namespace, name], reference)
  parse(['openshift', 'ci'], reference)
  ownerOf(reference)
}

const long = (random: Random): void => {
  const unit = random.pick([
    '_',
    '-',
    '.',
    'a_',
    'a__',
    '__ci_images_mirror__',
    '20240603235401_prune_',
    'art__',
    '_incoming',
    'sha256-',
    '0',
  ])
  const text =
    random.pick(['', 'a', 'ocp-priv_']) +
    unit.repeat(Math.ceil(200_000 / unit.length)) +
    random.pick(['', '!', '_'])
  const began = performance.now()
  parse([text, 'a'], 'b')
  parse(['a', text], 'b')
  parse(['openshift', 'ci'], text)
  ownerOf(text)
  must(performance.now() - began < longMs, 'the time is linear', `${unit} ${performance.now() - began} ms`)
}

export const references: Target = {
  name: 'references',
  about: 'tags keep their owner in either form and under any family, in linear time',
  start: async () => ({
    run: (random) => {
      for (const part of [bothForms, wrapped, junk]) part(random)
      if (random.chance(0.01)) long(random)
    },
    close: async () => undefined,
  }),
}
