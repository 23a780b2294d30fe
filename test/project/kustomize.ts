/**
 * `kustomize build`, as far as manifests/ uses it: resources, components, JSON patches, and a strategic merge of the volumes of a pod. The
 * end-to-end test compares it with kustomize itself.
 */
import { loadAllYaml, loadYaml, type V1Deployment } from '@kubernetes/client-node'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { KubernetesObject } from '../../src/sandbox/app-ci/rbac.ts'

export interface Patch {
  readonly path?: string
  readonly target?: { readonly kind: string; readonly name: string }
  readonly patch?: string
}

export interface Kustomization {
  readonly resources?: readonly string[]
  readonly components?: readonly string[]
  readonly patches?: readonly Patch[]
}

interface Operation {
  readonly op: 'add' | 'remove' | 'replace' | 'test'
  readonly path: string
  readonly value?: unknown
}

type Node = Record<string, unknown> & unknown[]

export interface Built {
  readonly objects: KubernetesObject[]
  /** The kustomizations that were read, by directory. */
  readonly kustomizations: Map<string, Kustomization>
}

/** The objects that `oc apply -k DIRECTORY` applies. @throws {Error} for what kustomize refuses, too */
export const accumulate = async (directory: string): Promise<Built> => {
  const built: Built = { objects: [], kustomizations: new Map() }
  await addDirectory(directory, built)
  return built
}

const addDirectory = async (directory: string, built: Built): Promise<void> => {
  const kustomization = await readKustomization(directory)
  built.kustomizations.set(directory, kustomization)
  for (const resource of kustomization.resources ?? []) {
    const path = join(directory, resource)
    if ((await stat(path)).isDirectory()) await addDirectory(path, built)
    else built.objects.push(...(loadAllYaml(await readFile(path, 'utf8')) as KubernetesObject[]))
  }
  for (const component of kustomization.components ?? [])
    await addDirectory(join(directory, component), built)
  for (const patch of kustomization.patches ?? []) await apply(directory, patch, built.objects)
}

const readKustomization = async (directory: string): Promise<Kustomization> => {
  for (const name of ['kustomization.yaml', 'Kustomization']) {
    const text = await readFile(join(directory, name), 'utf8').catch(() => undefined)
    if (text !== undefined) return loadYaml<Kustomization>(text)
  }
  throw new Error(`${directory} has no kustomization`)
}

const find = (objects: readonly KubernetesObject[], kind?: string, name?: string): KubernetesObject => {
  const found = objects.find((object) => object.kind === kind && object.metadata?.name === name)
  if (found === undefined) throw new Error(`no ${kind} ${name} to patch`)
  return found
}

const apply = async (
  directory: string,
  { path, target, patch }: Patch,
  objects: readonly KubernetesObject[],
): Promise<void> => {
  if (path !== undefined) {
    const merged = loadYaml<KubernetesObject>(await readFile(join(directory, path), 'utf8'))
    mergeVolumes(find(objects, merged.kind, merged.metadata?.name), merged)
    return
  }
  for (const operation of loadYaml<readonly Operation[]>(patch!))
    operate(find(objects, target?.kind, target?.name), operation)
}

const volumesOf = (object: unknown) => (object as V1Deployment).spec!.template.spec!.volumes!

const mergeVolumes = (object: KubernetesObject, merged: KubernetesObject): void => {
  const volumes = volumesOf(object)
  for (const volume of volumesOf(merged)) {
    const known = volumes.find(({ name }) => name === volume.name)
    if (known === undefined) throw new Error(`no volume ${volume.name} to patch`)
    Object.assign(known.secret!, volume.secret)
  }
}

/** RFC 6902. */
const operate = (object: KubernetesObject, { op, path, value }: Operation): void => {
  const keys = path
    .slice(1)
    .split('/')
    .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'))
  const last = keys.pop()!
  const parent = keys.reduce<Node>((node, key) => node[key as keyof Node] as Node, object as unknown as Node)
  const exists = Object.hasOwn(parent, last)
  if (op !== 'add' && !exists) throw new Error(`there is no ${path}`)
  if (op === 'test' && JSON.stringify(parent[last as keyof Node]) !== JSON.stringify(value))
    throw new Error(`${path} is not ${JSON.stringify(value)}`)
  if (op === 'remove' && Array.isArray(parent)) parent.splice(Number(last), 1)
  else if (op === 'remove') delete (parent as Record<string, unknown>)[last]
  else if (op === 'add' && last === '-') parent.push(value)
  else if (op === 'add' || op === 'replace') (parent as Record<string, unknown>)[last] = value
}
