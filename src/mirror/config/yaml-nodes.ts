/**
 * Finds repeated keys, and what aliases stand for, in one pass over all nodes of a document. The parser can do both, but in a time that
 * grows with the square of the file size.
 */
import { isAlias, isMap, isNode, isScalar, visit, type Alias, type Document, type Node } from 'yaml'

export interface InspectedNodes {
  /** The second of two equal keys of a map. */
  readonly repeatedKeys: readonly Node[]
  /** Aliases whose anchor does not come before them are missing here. */
  readonly targets: ReadonlyMap<Alias, Node>
}

export const inspectNodes = (document: Document): InspectedNodes => {
  const repeatedKeys: Node[] = []
  const targets = new Map<Alias, Node>()
  const anchors = new Map<string, Node>()
  visit(document, (_key, node) => {
    if (!isNode(node)) return
    if (isAlias(node)) {
      const target = anchors.get(node.source)
      if (target !== undefined) targets.set(node, target)
    } else if (node.anchor !== undefined) anchors.set(node.anchor, node)
    if (isMap<Node>(node)) repeatedKeys.push(...repeatedIn(node.items.map(({ key }) => key)))
  })
  return { repeatedKeys, targets }
}

const repeatedIn = (keys: readonly Node[]): readonly Node[] => {
  const values = new Set<unknown>()
  return keys.filter((key) => {
    if (!isScalar(key)) return false
    const isRepeated = values.has(key.value)
    values.add(key.value)
    return isRepeated
  })
}
