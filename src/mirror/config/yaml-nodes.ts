/**
 * Finds repeated keys, and what aliases stand for, in one pass over all nodes of a document. The parser can do both, but in a time that
 * grows with the square of the file size.
 */
import { isAlias, isMap, isNode, isScalar, isSeq, type Alias, type Document, type Node } from 'yaml'

export interface InspectedNodes {
  /** The second of two equal keys of a map. */
  readonly repeatedKeys: readonly Node[]
  /** Missing here are aliases whose anchor does not come before them, and those that are a part of what they stand for. */
  readonly targets: ReadonlyMap<Alias, Node>
  /** The number of all aliases. */
  readonly aliases: number
  /** The number of nodes that the document would have more if each alias was written out. */
  readonly added: number
}

export const inspectNodes = (document: Document): InspectedNodes => new Inspection().of(document.contents)

interface Size {
  /** Nodes in the text, and nodes if each alias is written out. */
  readonly own: number
  readonly whole: number
}

class Inspection {
  readonly #repeatedKeys: Node[] = []
  readonly #targets = new Map<Alias, Node>()
  /** The last node of each name so far. */
  readonly #anchors = new Map<string, Node>()
  /** Of anchors that have ended. */
  readonly #sizes = new Map<Node, Size>()
  #aliases = 0

  of(root: unknown): InspectedNodes {
    const { own, whole } = this.#visit(root)
    return {
      repeatedKeys: this.#repeatedKeys,
      targets: this.#targets,
      aliases: this.#aliases,
      added: whole - own,
    }
  }

  #visit(node: unknown): Size {
    if (!isNode(node)) return { own: 1, whole: 1 }
    if (isAlias(node)) return this.#visitAlias(node)
    if (node.anchor !== undefined) this.#anchors.set(node.anchor, node)
    let own = 1
    let whole = 1
    for (const part of this.#partsOf(node)) {
      const size = this.#visit(part)
      own += size.own
      whole += size.whole
    }
    if (node.anchor !== undefined) this.#sizes.set(node, { own, whole })
    return { own, whole }
  }

  #visitAlias(alias: Alias): Size {
    this.#aliases += 1
    const target = this.#anchors.get(alias.source)
    const size = target && this.#sizes.get(target)
    if (target === undefined || size === undefined) return { own: 1, whole: 1 }
    this.#targets.set(alias, target)
    return { own: 1, whole: size.whole }
  }

  #partsOf(node: Node): readonly unknown[] {
    if (isSeq(node)) return node.items
    if (!isMap<Node>(node)) return []
    this.#repeatedKeys.push(...repeatedIn(node.items.map(({ key }) => key)))
    return node.items.flatMap(({ key, value }) => [key, value])
  }
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
