/**
 * The tags that builds promote to QCI, read from the ci-operator configurations of a checkout of openshift/release.
 * @see https://docs.ci.openshift.org/how-tos/contributing-openshift-release/
 */
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { readYamlValue } from '../config/yaml-value.ts'
import { floatTagOf } from '../names/qci-names.ts'
import type { PromotedTags } from './collisions.ts'

/** @param directory `ci-operator/config` of the checkout. @throws {Error} if a file cannot be read, or is not YAML */
export const readPromotedTags = (directory: string): PromotedTags => {
  const promoted = new Map<string, string>()
  for (const file of globSync('**/*.yaml', { cwd: directory }).toSorted()) {
    const text = readFileSync(join(directory, file), 'utf8')
    // Most of the thousands of files promote nothing, and parsing takes milliseconds.
    if (!text.includes('promotion:')) continue
    for (const float of promotedBy(valueIn(text, file))) promoted.set(float, file)
  }
  return promoted
}

const valueIn = (text: string, file: string): unknown => {
  try {
    return readYamlValue(text)
  } catch (error) {
    throw new Error(`${file}:${(error as Error).message}`, { cause: error })
  }
}

type Json = Readonly<Record<string, unknown>>

const promotedBy = (value: unknown): readonly string[] => {
  const config = objectOf(value)
  const images = imagesOf(config['images'])
  const targets = listOf(objectOf(config['promotion'])['to']).map(objectOf)
  return targets
    .filter(({ disabled }) => disabled !== 'true')
    .flatMap((target) => {
      const excluded = new Set(listOf(target['excluded_images']))
      const own = excluded.has('*') ? [] : images.filter((image) => !excluded.has(image))
      return [...own, ...Object.keys(objectOf(target['additional_images']))].map((component) =>
        floatOfComponent(target, component),
      )
    })
}

/** A target with a `name` has one tag for each component. A target with a `tag` has one ImageStream for each component. */
const floatOfComponent = ({ namespace, name, tag }: Json, component: string): string =>
  typeof name === 'string'
    ? floatTagOf({ namespace: String(namespace), name, tag: component })
    : floatTagOf({ namespace: String(namespace), name: component, tag: String(tag) })

/** Either a list, or a map with the list as its `items`. */
const imagesOf = (value: unknown): readonly string[] =>
  listOf(Array.isArray(value) ? value : objectOf(value)['items'])
    .map((image) => objectOf(image)['to'])
    .filter((to) => typeof to === 'string')

const objectOf = (value: unknown): Json =>
  typeof value === 'object' && value !== null ? (value as Json) : {}

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])
