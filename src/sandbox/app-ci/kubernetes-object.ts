/** Manifests from a directory. Real ones hold other things beside: those are named and left out, or refused, as the caller likes. */
import { readdir, readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { loadYaml } from '@kubernetes/client-node'

/** Any API object, as far as everything that has a kind and a name agrees; the rest is what its kind says. */
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
  /** What was left out: where, and why. */
  readonly skipped: readonly string[]
}

const manifestName = /\.(?:ya?ml|json)$/

// YAML 1.2, 9.1.2: three hyphens at the start of a line end a document, even inside a block scalar.
const documentSeparator = /^---(?=\s|$)/m

const hasContent = (text: string): boolean => text.replaceAll(/^\s*#.*$/gm, '').trim() !== ''

/**
 * Every object of every `*.yaml`, `*.yml` and `*.json` below a directory, in the order of the paths, documents in the order of the
 * file and `List` kinds flattened. Documents that are none, and files whose name begins with `_` (which openshift/release applies to
 * no cluster), are skipped.
 *
 * @throws {Error} naming the directory or the file that cannot be read
 */
export const loadManifests = async (directory: string): Promise<LoadedManifests> => {
  const objects: KubernetesObject[] = []
  const skipped: string[] = []
  for (const file of await manifestFiles(directory)) {
    if (basename(file).startsWith('_')) {
      skipped.push(`${file}: its name begins with _, so it is applied to no cluster`)
      continue
    }
    const text = await readFile(file, 'utf8').catch((cause: unknown) => {
      throw new Error(`cannot read the manifest ${file}: ${messageOf(cause)}`, { cause })
    })
    const documents = text.split(documentSeparator).filter((document) => hasContent(document))
    for (const [index, document] of documents.entries())
      objects.push(...parseDocument(document, `${file}, document ${index + 1}`, skipped))
  }
  return { objects, skipped }
}

/** The same, for directories that hold manifests only. @throws {Error} also for the first thing that is none */
export const readManifests = async (directory: string): Promise<KubernetesObject[]> => {
  const { objects, skipped } = await loadManifests(directory)
  const [first] = skipped
  if (first !== undefined) throw new Error(first)
  return [...objects]
}

const manifestFiles = async (directory: string): Promise<string[]> => {
  try {
    const names = await readdir(directory, { recursive: true })
    return names
      .filter((name) => manifestName.test(name))
      .toSorted()
      .map((name) => join(directory, name))
  } catch (cause) {
    throw new Error(`cannot read the manifests below ${directory}: ${messageOf(cause)}`, { cause })
  }
}

/** @param skipped is added to */
const parseDocument = (document: string, where: string, skipped: string[]): KubernetesObject[] => {
  try {
    return flatten(loadYaml<KubernetesObject>(document), where, skipped)
  } catch (cause) {
    // What follows shows the place in the file, over several lines.
    skipped.push(`${where}: ${messageOf(cause).split('\n', 1).join('')}`)
    return []
  }
}

const flatten = (object: KubernetesObject, where: string, skipped: string[]): KubernetesObject[] => {
  if (typeof object?.kind !== 'string' || typeof object.apiVersion !== 'string') {
    skipped.push(`${where}: not a Kubernetes object, it needs an apiVersion and a kind`)
    return []
  }
  const items = object['items']
  if (!object.kind.endsWith('List') || !Array.isArray(items)) return [object]
  return items.flatMap((item: KubernetesObject, index) =>
    flatten(item, `${where}, item ${index + 1}`, skipped),
  )
}

const messageOf = (cause: unknown): string => (cause as Error).message
