/**
 * YAML with positions, read as strictly as Go's `yaml.UnmarshalStrict` reads it: unknown and repeated keys are errors. Keys are compared
 * without regard to case, as in Go's JSON.
 */
import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  type Alias,
  type Node,
  type YAMLError,
} from 'yaml'
import type { Position, Problem } from './problem.ts'
import { inspectNodes } from './yaml-nodes.ts'

export type YamlNode = Node | null | undefined

export interface YamlEntry {
  readonly key: string
  readonly position: Position
  readonly value: YamlNode
}

export class YamlReader {
  readonly problems: Problem[] = []
  readonly root: YamlNode
  /** Whether the text is YAML within the bounds. If not, do not read any of it. */
  readonly isYaml: boolean
  /** The number of nodes that the file would have more if each alias was written out. */
  readonly added: number
  #errors = 0
  readonly #targets: ReadonlyMap<Alias, Node>
  readonly #lines = new LineCounter()

  constructor(text: string) {
    // Go reads YAML 1.1, in which `yes` is not a text.
    const options = {
      lineCounter: this.#lines,
      version: '1.1',
      prettyErrors: false,
      uniqueKeys: false,
    } as const
    const document = parseDocument(text, options)
    this.root = document.contents
    for (const error of document.errors.slice(0, maxSyntaxErrors)) this.#addSyntaxError(error)
    for (const { pos, message } of document.warnings)
      this.problems.push({
        severity: 'warning',
        position: this.#positionAt(pos[0]),
        subject: 'file',
        message: `a tag or a directive has no effect: ${firstLine(message)}`,
        cure: 'remove it',
      })
    const { repeatedKeys, targets, aliases, added } = inspectNodes(document)
    this.#targets = targets
    this.added = added
    const isBounded = aliases <= maxAliases
    if (!isBounded)
      this.error(undefined, 'file', `the file has more than ${maxAliases} aliases`, 'write the values out')
    this.isYaml = document.errors.length === 0 && isBounded
    for (const key of repeatedKeys)
      this.error(key, 'file', 'a key is written twice', 'remove one of the two entries')
  }

  /** Where a node begins; without a node, the beginning of the file. */
  positionOf(node: YamlNode): Position {
    return this.#positionAt(node?.range?.[0] ?? 0)
  }

  error(node: YamlNode, subject: string, message: string, cure: string): void {
    this.#add(this.positionOf(node), subject, message, cure)
  }

  warn(node: YamlNode, subject: string, message: string, cure: string): void {
    this.problems.push({ severity: 'warning', position: this.positionOf(node), subject, message, cure })
  }

  hasError(subject: string): boolean {
    return this.problems.some((problem) => problem.subject === subject && problem.severity === 'error')
  }

  /** The pairs of a map; none without a node. */
  entriesOf(node: YamlNode, subject: string): readonly YamlEntry[] {
    const map = this.resolve(node, subject)
    // A file with errors is refused: further ones cost time, and help nobody.
    if (isEmpty(map) || this.#errors >= maxErrors) return []
    if (!isMap<Node, YamlNode>(map)) {
      this.error(map, subject, `${subject} is not a map`, 'write "key: value" lines below it')
      return []
    }
    return map.items.flatMap(({ key, value }) => {
      if (isMergeKey(key)) {
        this.error(key, subject, 'a merge key (<<) is not read', 'write out the keys that it stands for')
        return []
      }
      if (isEmpty(key))
        this.error(key, subject, `a key of ${subject} is empty`, 'write the key before the ":"')
      const text = this.text(key, subject)
      return text === undefined ? [] : [{ key: text, position: this.positionOf(key), value }]
    })
  }

  /** The items of a list; none without a node. */
  itemsOf(node: YamlNode, subject: string): readonly YamlNode[] {
    const list = this.resolve(node, subject)
    if (isEmpty(list)) return []
    if (isSeq<YamlNode>(list)) return list.items
    this.error(list, subject, `${subject} is not a list`, 'begin each of its entries with "- "')
    return []
  }

  /** The values of the named keys of a map. Any other key is an error. */
  fieldsOf(node: YamlNode, subject: string, names: readonly string[]): ReadonlyMap<string, YamlNode> {
    const fields = new Map<string, YamlNode>()
    const spellings = new Map<string, string>()
    for (const { key, value, position } of this.entriesOf(node, subject)) {
      const name = names.find((candidate) => candidate.toLowerCase() === key.toLowerCase())
      if (name === undefined)
        this.#add(
          position,
          subject,
          `${JSON.stringify(key)} is not a key of ${subject}`,
          `use ${names.join(', ')}`,
        )
      // The parser has already reported keys with the same spelling.
      else if (spellings.get(name) === key) continue
      else if (fields.has(name))
        this.#add(
          position,
          subject,
          `${subject} has ${name} twice, in two spellings`,
          'remove one of the two lines',
        )
      else {
        fields.set(name, value)
        spellings.set(name, key)
      }
    }
    return fields
  }

  /** Undefined if the key is missing, or if its value is not text, which is an error. */
  text(node: YamlNode, subject: string): string | undefined {
    const scalar = this.resolve(node, subject)
    if (isEmpty(scalar)) return undefined
    if (!isScalar(scalar)) {
      this.error(scalar, subject, `${subject} has a map or a list where text belongs`, 'write text there')
      return undefined
    }
    const { value, source = '' } = scalar
    // Go takes 4.10 for the number 4.1, and `yes` for `true`.
    if (typeof value === 'string' || value instanceof Date || String(value) === source) return source
    this.error(
      scalar,
      subject,
      `${source} is not text but the value ${String(value)}`,
      `write it in quotes: "${source}"`,
    )
    return undefined
  }

  /** What an alias stands for; any other node as it is. */
  resolve(node: YamlNode, subject: string): YamlNode {
    if (!isAlias(node)) return node
    const target = this.#targets.get(node)
    if (target === undefined)
      this.error(
        node,
        subject,
        `the alias *${node.source} stands for nothing: no anchor &${node.source} is before it`,
        'write the value out',
      )
    return target
  }

  #addSyntaxError({ pos, code, message }: YAMLError): void {
    const [text, cure] = syntaxErrors[code] ?? [
      `this is not YAML: ${firstLine(message)}`,
      'correct the syntax; https://yaml.org/spec/1.1/ has it',
    ]
    this.#add(this.#positionAt(pos[0]), 'file', text, cure)
  }

  #positionAt(offset: number): Position {
    const { line, col } = this.#lines.linePos(offset)
    return { line: Math.max(1, line), column: Math.max(1, col) }
  }

  #add(position: Position, subject: string, message: string, cure: string): void {
    this.#errors += 1
    this.problems.push({ severity: 'error', position, subject, message, cure })
  }
}

/** Attack: a large map with wrong keys, and thousands of aliases of it. Real files have a few aliases. */
const maxAliases = 1000
const maxErrors = 1000

/** Further ones do not help, because most of them follow from the first one. */
const maxSyntaxErrors = 10

/** Errors whose message in the library is for programmers, or does not say what to do. */
const syntaxErrors: Readonly<Record<string, readonly [message: string, cure: string]>> = {
  MULTIPLE_DOCS: [
    'the file has a second YAML document',
    'remove the line "---", and write the sections into one document',
  ],
  TAB_AS_INDENT: ['a tab indents this line, which YAML does not allow', 'indent with spaces'],
}

export const isMergeKey = (key: YamlNode): boolean => isScalar(key) && typeof key.value === 'symbol'

export const isEmpty = (node: YamlNode): node is null | undefined =>
  node === null || node === undefined || (isScalar(node) && node.value === null)

const firstLine = (text: string): string => text.split('\n', 1)[0] as string
