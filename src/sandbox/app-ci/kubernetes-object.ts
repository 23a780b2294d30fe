/** Reads manifests from a directory. The caller chooses whether other files are skipped and named, or refused. */
import { readdir, readFile, realpath, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { loadYaml } from '@kubernetes/client-node'

/** The fields that every API object with a kind and a name has. All other fields depend on the kind. */
export interface KubernetesObject {
  readonly apiVersion?: string
  readonly kind?: string
  readonly metadata?: {
    readonly name?: string
    readonly namespace?: string
    readonly labels?: Readonly<Record<string, string>>
  }
  readonly [key: string]: unknown
}

export interface LoadedManifests {
  readonly objects: readonly KubernetesObject[]
  /** The skipped documents: the position and the reason of each. */
  readonly skipped: readonly string[]
  /** Whether each file and document could be read, so that nothing of them is unknown. */
  readonly isWhole: boolean
}

/** Added to while files are read. */
interface LeftOut {
  readonly skipped: string[]
  unreadable: number
}

const notRead = (leftOut: LeftOut, reason: string): undefined => {
  leftOut.skipped.push(reason)
  leftOut.unreadable += 1
}

const manifestName = /\.(?:ya?ml|json)$/

// YAML 1.2, 9.1.2: three hyphens at the start of a line end a document, even inside a block scalar.
const documentSeparator = /^---(?=\s|$)/m

const hasContent = (text: string): boolean => text.replaceAll(/^\s*#.*$/gm, '').trim() !== ''

/**
 * Every object of every `*.yaml`, `*.yml` and `*.json` below a directory, or of one file, links followed, in the order of the paths, documents in the
 * order of the file and `List` kinds flattened. Documents that are none, files that cannot be read, and files whose name begins with
 * `_` (which openshift/release applies to no cluster), are skipped.
 *
 * @throws {Error} naming the directory that cannot be read
 */
export const loadManifests = async (directory: string): Promise<LoadedManifests> => {
  const objects: KubernetesObject[] = []
  const leftOut: LeftOut = { skipped: [], unreadable: 0 }
  const { skipped } = leftOut
  for (const file of await manifestFiles(directory, leftOut)) {
    if (basename(file).startsWith('_')) {
      skipped.push(`${file}: its name begins with _, so it is applied to no cluster`)
      continue
    }
    const text = await readFile(file, 'utf8').catch((cause: unknown) =>
      notRead(leftOut, `${file}: ${messageOf(cause)}`),
    )
    if (text === undefined) continue
    const documents = text.split(documentSeparator).filter((document) => hasContent(document))
    for (const [index, document] of documents.entries())
      objects.push(...parseDocument(document, `${file}, document ${index + 1}`, leftOut))
  }
  return { objects, skipped, isWhole: leftOut.unreadable === 0 }
}

/** The same, for directories that contain only manifests. @throws {Error} also for the first document that is not a manifest */
export const readManifests = async (directory: string): Promise<KubernetesObject[]> => {
  const { objects, skipped } = await loadManifests(directory)
  const [first] = skipped
  if (first !== undefined) throw new Error(first)
  return [...objects]
}

const manifestFiles = async (directory: string, leftOut: LeftOut): Promise<string[]> => {
  try {
    if ((await stat(directory)).isFile()) return [directory]
    return (await filesBelow(directory, leftOut, [])).toSorted()
  } catch (cause) {
    throw new Error(`cannot read the manifests below ${directory}: ${messageOf(cause)}`, { cause })
  }
}

/**
 * Not by recursive `readdir`, which follows no links: a mounted ConfigMap consists of links.
 * @param above the parent directories, because a link may lead back to one of them
 */
const filesBelow = async (
  directory: string,
  leftOut: LeftOut,
  above: readonly string[],
): Promise<string[]> => {
  const real = await realpath(directory)
  if (above.includes(real)) return []
  const found: string[] = []
  for (const name of await readdir(directory)) {
    // The kubelet stores the targets of the links there.
    if (name.startsWith('..')) continue
    const path = join(directory, name)
    const entry = await stat(path).catch((cause: unknown) => messageOf(cause))
    if (typeof entry === 'string') notRead(leftOut, `${path}: ${entry}`)
    else if (entry.isDirectory()) found.push(...(await filesBelow(path, leftOut, [...above, real])))
    else if (manifestName.test(name)) found.push(path)
  }
  return found
}

const parseDocument = (document: string, where: string, leftOut: LeftOut): KubernetesObject[] => {
  try {
    return flatten(loadYaml<KubernetesObject>(document), where, leftOut.skipped)
  } catch (cause) {
    // Further lines of the message show the position in the file.
    notRead(leftOut, `${where}: ${messageOf(cause).split('\n', 1).join('')}`)
    return []
  }
}

const flatten = (object: KubernetesObject, where: string, skipped: string[]): KubernetesObject[] => {
  if (typeof object?.kind !== 'string' || typeof object.apiVersion !== 'string') {
    skipped.push(`${where}: not a Kubernetes object, it needs an apiVersion and a kind`)
    return []
  }
  const items = object['items']
  const { apiVersion, kind } = object
  if (kind === 'Template') {
    skipped.push(`${where}: a Template, whose objects depend on its parameters`)
    return []
  }
  if (!kind.endsWith('List') || !Array.isArray(items)) return [object]
  // In a list, the API server omits kind and version of each item, because the list has them. kubectl adds them in the same way.
  const said = kind === 'List' ? {} : { apiVersion, kind: kind.slice(0, -'List'.length) }
  return items.flatMap((item: KubernetesObject | null, index) =>
    flatten({ ...(hasKind(item) ? {} : said), ...item }, `${where}, item ${index + 1}`, skipped),
  )
}

const hasKind = (item: KubernetesObject | null): boolean => (item?.kind ?? item?.apiVersion) !== undefined

const messageOf = (cause: unknown): string => (cause as Error).message
