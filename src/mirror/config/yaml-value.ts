/**
 * A YAML file as a plain value. All scalars are text, so that the tag 4.10 is not the number 4.1.
 */
import { isMap, isSeq, type Node, type Scalar, type YAMLMap } from 'yaml'
import { isEmpty, isMergeKey, YamlReader, type YamlNode } from './yaml-reader.ts'

/** A value that is missing or null is undefined. */
export type YamlValue = string | readonly YamlValue[] | { readonly [key: string]: YamlValue } | undefined

/** Attack: aliases of aliases, which stand for gigabytes. */
const maxAdded = 100_000

/** @throws {Error} for the first problem, with its position */
export const readYamlValue = (text: string): YamlValue => {
  const reader = new YamlReader(text)
  if (reader.added > maxAdded) throw new Error(`1:1: its aliases stand for more than ${maxAdded} values`)
  const value = reader.isYaml ? valueOf(reader, reader.root) : undefined
  const error = reader.problems.find(({ severity }) => severity === 'error')
  if (error === undefined) return value
  const { position, message } = error
  throw new Error(`${position.line}:${position.column}: ${message}`)
}

const valueOf = (reader: YamlReader, node: YamlNode): YamlValue => {
  const resolved = reader.resolve(node, 'the file')
  if (isEmpty(resolved)) return undefined
  if (isSeq<Node>(resolved)) return resolved.items.map((item) => valueOf(reader, item))
  return isMap<Node, YamlNode>(resolved) ? mapOf(reader, resolved) : textOf(resolved as Scalar)
}

/** Go reads `yes` as true. */
const textOf = ({ value, source }: Scalar): string =>
  typeof value === 'boolean' ? String(value) : (source as string)

const mapOf = (reader: YamlReader, { items }: YAMLMap<Node, YamlNode>): YamlValue => {
  const merged: YamlValue[] = []
  const own: [string, YamlValue][] = []
  for (const { key, value } of items) {
    const read = valueOf(reader, value)
    if (isMergeKey(key)) merged.push(...(Array.isArray(read) ? (read as readonly YamlValue[]) : [read]))
    else {
      const name = valueOf(reader, key)
      if (typeof name === 'string') own.push([name, read])
    }
  }
  // The first of several merged maps wins, and the own keys win over all of them.
  const inherited = merged.toReversed().flatMap((map) => (typeof map === 'object' ? Object.entries(map) : []))
  return Object.fromEntries([...inherited, ...own])
}
