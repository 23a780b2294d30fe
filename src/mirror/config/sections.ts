/**
 * The four sections of the configuration, each with its own form of an entry.
 */
import { parseImageReference, type ImageReference } from '../names/image-reference.ts'
import { parseTarget, type ImageStreamTag } from '../names/qci-names.ts'
import { parseGoPattern, type GoPattern } from './go-pattern.ts'
import {
  qciImageOf,
  qciProxy,
  qciRegistry,
  qciRepository,
  type AppCiImage,
  type ArtImages,
  type IgnoredSource,
  type Source,
  type SupplementalImage,
} from './mirror-config.ts'
import type { YamlNode, YamlReader } from './yaml-reader.ts'

const sourceKeys = ['image', 'namespace', 'name', 'tag', 'as']

export const readSupplemental = (reader: YamlReader, node: YamlNode): readonly SupplementalImage[] =>
  reader.entriesOf(node, 'supplementalCIImages').flatMap(({ key, position, value }) => {
    const subject = `supplementalCIImages[${key}]`
    const target = readTarget(reader, key, position, subject)
    const source = readSource(reader, value, subject, reader.fieldsOf(value, subject, sourceKeys))
    return target === undefined || source === undefined ? [] : [{ position, subject, target, source }]
  })

export const readAppCi = (reader: YamlReader, node: YamlNode): readonly AppCiImage[] =>
  reader.entriesOf(node, 'qciToAppCIImages').flatMap(({ key, position, value }) => {
    const subject = `qciToAppCIImages[${key}]`
    const target = readTarget(reader, key, position, subject)
    const fields = reader.fieldsOf(value, subject, sourceKeys)
    for (const name of ['namespace', 'name', 'tag', 'as'])
      if (fields.has(name))
        reader.error(
          value,
          subject,
          `${subject} sets ${name}`,
          'use image, or write {} to take the image of the same name in QCI',
        )
    if (target === undefined) return []
    const source = readQciImage(reader, fields.get('image'), subject, target)
    return source === undefined ? [] : [{ position, subject, target, source }]
  })

export const readIgnored = (reader: YamlReader, node: YamlNode): readonly IgnoredSource[] =>
  reader.itemsOf(node, 'ignoredSources').flatMap((item, index) => {
    const subject = `ignoredSources[${index}]`
    const fields = reader.fieldsOf(item, subject, [...sourceKeys, 'reason'])
    const source = readSource(reader, item, subject, fields)
    const reason = reader.text(fields.get('reason'), subject) ?? ''
    if (reason.trim() === '')
      reader.warn(item, subject, `${subject} has no reason`, 'write the reason, or a link to the ticket')
    return source === undefined ? [] : [{ position: reader.positionOf(item), subject, source, reason }]
  })

export const readArt = (reader: YamlReader, node: YamlNode): readonly ArtImages[] =>
  reader.itemsOf(node, 'artImages').flatMap((item, index) => {
    const subject = `artImages[${index}]`
    const fields = reader.fieldsOf(item, subject, ['namespace', 'name', 'tag'])
    const namespace = filled(reader, fields.get('namespace'), subject)
    if (namespace === undefined)
      reader.error(item, subject, `namespace of ${subject} is not set`, 'set a namespace of app.ci')
    const name = readPattern(reader, fields.get('name'), subject, 'name')
    if (name === undefined)
      reader.error(
        item,
        subject,
        `name of ${subject} is not set`,
        'set a regular expression, such as ^release$',
      )
    const tag = readPattern(reader, fields.get('tag'), subject, 'tag')
    if (namespace === undefined || typeof name !== 'object' || tag === 'bad') return []
    return [{ position: reader.positionOf(item), subject, namespace, name, tag }]
  })

const readTarget = (
  reader: YamlReader,
  key: string,
  position: SupplementalImage['position'],
  subject: string,
): ImageStreamTag | undefined => {
  const target = parseTarget(key)
  if (target === undefined)
    reader.problems.push({
      severity: 'error',
      position,
      subject,
      message: `${JSON.stringify(key)} is not a target`,
      cure: 'write <namespace>/<name>:<tag>',
    })
  return target
}

const readSource = (
  reader: YamlReader,
  node: YamlNode,
  subject: string,
  fields: ReadonlyMap<string, YamlNode>,
): Source | undefined => {
  if (fields.has('as')) reader.error(fields.get('as'), subject, `${subject} sets as`, 'remove the line')
  const [image, namespace, name, tag] = (['image', 'namespace', 'name', 'tag'] as const).map((field) =>
    filled(reader, fields.get(field), subject),
  )
  if (image !== undefined) {
    if ([namespace, name, tag].some((text) => text !== undefined))
      reader.warn(
        node,
        subject,
        `${subject} sets image and an ImageStream: image wins`,
        'remove one of the two',
      )
    const reference = readReference(reader, fields.get('image'), subject, image)
    return reference && { kind: 'image', image: reference }
  }
  if (namespace !== undefined && name !== undefined && tag !== undefined)
    return { kind: 'image-stream-tag', imageStreamTag: { namespace, name, tag } }
  // The reader has already reported a text that it could not read.
  if (reader.hasError(subject)) return undefined
  const missing = Object.entries({ namespace, name, tag }).filter(([, value]) => value === undefined)
  reader.error(
    node,
    subject,
    `${missing.map(([field]) => field).join(', ')} for the source of ${subject} not set`,
    'set image, or all of namespace, name and tag',
  )
  return undefined
}

const readReference = (
  reader: YamlReader,
  node: YamlNode,
  subject: string,
  text: string,
): ImageReference | undefined => {
  const reference = parseImageReference(text)
  if (typeof reference === 'object') return reference
  reader.error(
    node,
    subject,
    `image ${JSON.stringify(text)} ${reference}`,
    'write <host>/<repository>:<tag> or <host>/<repository>@<digest>',
  )
  return undefined
}

/** The image of QCI to read: without `image`, the key names it. */
const readQciImage = (
  reader: YamlReader,
  node: YamlNode,
  subject: string,
  target: ImageStreamTag,
): ImageReference | undefined => {
  const text = filled(reader, node, subject)
  if (text === undefined) return qciImageOf(target)
  const reference = readReference(reader, node, subject, text)
  if (reference === undefined) return undefined
  const { registry, repository } = reference
  if (repository === qciRepository && (registry === qciRegistry || registry === qciProxy)) return reference
  reader.error(
    node,
    subject,
    `image ${JSON.stringify(text)} is not in QCI`,
    `name an image under ${qciRegistry}/${qciRepository} or ${qciProxy}/${qciRepository}, or write {}`,
  )
  return undefined
}

const readPattern = (
  reader: YamlReader,
  node: YamlNode,
  subject: string,
  field: string,
): GoPattern | 'bad' | undefined => {
  const text = filled(reader, node, subject)
  if (text === undefined) return undefined
  const pattern = parseGoPattern(text)
  if (typeof pattern === 'object') return pattern
  reader.error(
    node,
    subject,
    `${field} of ${subject}, ${JSON.stringify(text)}, ${pattern}`,
    'write one with letters, digits, ^, $, ., *, +, \\d and [...]',
  )
  return 'bad'
}

/** Go does not distinguish an empty text from a missing one. */
const filled = (reader: YamlReader, node: YamlNode, subject: string): string | undefined => {
  const text = reader.text(node, subject)
  return text === '' ? undefined : text
}
