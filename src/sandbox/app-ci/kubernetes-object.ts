import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
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

const manifestName = /\.(?:ya?ml|json)$/

// YAML 1.2, 9.1.2: three hyphens at the start of a line end a document, even inside a block scalar.
const documentSeparator = /^---(?=\s|$)/m

const hasContent = (text: string): boolean => text.replaceAll(/^\s*#.*$/gm, '').trim() !== ''

/**
 * Every object of every `*.yaml`, `*.yml` and `*.json` below a directory, in the order of the paths, documents in the
 * order of the file and `List` kinds flattened.
 *
 * @throws Error naming the directory that cannot be read, or the file and document that is no Kubernetes object.
 */
export async function readManifests(directory: string): Promise<KubernetesObject[]> {
  const objects: KubernetesObject[] = []
  for (const file of await manifestFiles(directory)) {
    const text = await readFile(file, 'utf8').catch((cause: unknown) => {
      throw new Error(`cannot read the manifest ${file}: ${messageOf(cause)}`, { cause })
    })
    const documents = text.split(documentSeparator).filter((document) => hasContent(document))
    for (const [index, document] of documents.entries()) {
      objects.push(...parseDocument(document, `${file}, document ${index + 1}`))
    }
  }
  return objects
}

async function manifestFiles(directory: string): Promise<string[]> {
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

function parseDocument(document: string, where: string): KubernetesObject[] {
  let object: KubernetesObject
  try {
    object = loadYaml<KubernetesObject>(document)
  } catch (cause) {
    throw new Error(`${where}: ${messageOf(cause)}`, { cause })
  }
  return flatten(object, where)
}

function flatten(object: KubernetesObject, where: string): KubernetesObject[] {
  if (typeof object?.kind !== 'string' || typeof object.apiVersion !== 'string') {
    throw new Error(`${where}: not a Kubernetes object, it needs an apiVersion and a kind`)
  }
  const items = object['items']
  if (!object.kind.endsWith('List') || !Array.isArray(items)) return [object]
  return items.flatMap((item: KubernetesObject, index) => flatten(item, `${where}, item ${index + 1}`))
}

const messageOf = (cause: unknown): string => (cause as Error).message
