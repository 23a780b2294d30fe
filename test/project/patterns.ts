/**
 * The regular expressions of a source, and texts that are hard for each: found from the outside, without knowing what they are for.
 */

/** What a slash begins a regular expression after, and not a division. */
const beforePattern =
  /(?:^|[(,=:[!&|?{};+\-*%<>~^]|=>|\b(?:return|typeof|case|in|of|do|else|void|await|yield|throw))\s*$/

/** Every regular expression literal of a TypeScript source, with its flags. */
export const patternsOf = (text: string): RegExp[] => {
  const source = text.replace(/^#!.*/, '')
  const patterns: RegExp[] = []
  // What stands between `${` and `}` is code again.
  const templates: number[] = []
  let depth = 0
  let code = ''
  for (let at = 0; at < source.length; at++) {
    const rest = source.slice(at, at + 2)
    const character = source[at] as string
    const end = endOfToken(source, at)
    if (isPattern(rest, code)) {
      const close = endOfPattern(source, at)
      const [flags = ''] = /^[a-z]*/.exec(source.slice(close + 1, close + 10)) ?? []
      patterns.push(new RegExp(source.slice(at + 1, close), flags))
      at = close + flags.length
      code += '0'
    } else if (end > at) {
      at = end
      if (rest !== '//' && rest !== '/*') code += '0'
    } else if (isTemplate(character, templates.at(-1) === depth - 1)) {
      if (character === '}') depth = templates.pop() as number
      at = templatePart(source, at + 1)
      if (source[at] === '{') templates.push(depth++)
      code += source[at] === '{' ? '(' : '0'
    } else {
      depth += character === '{' ? 1 : character === '}' ? -1 : 0
      code += character
    }
  }
  return patterns
}

/** Where one begins, or goes on behind `${...}`. */
const isTemplate = (character: string, isWithin: boolean): boolean =>
  character === '`' || (character === '}' && isWithin)

const isPattern = (begun: string, code: string): boolean =>
  begun.startsWith('/') && !/^\/[/*]/.test(begun) && beforePattern.test(code.slice(-40))

/** The last index of a comment or a quoted string; the same index where there is neither. */
const endOfToken = (source: string, at: number): number => {
  if (source.startsWith('//', at)) return `${source}\n`.indexOf('\n', at) - 1
  if (source.startsWith('/*', at)) return source.indexOf('*/', at) + 1
  const quote = source[at]
  if (quote !== "'" && quote !== '"') return at
  let end = at + 1
  while (source[end] !== quote) end += source[end] === '\\' ? 2 : 1
  return end
}

const endOfPattern = (source: string, at: number): number => {
  let isClass = false
  let end = at + 1
  for (; isClass || source[end] !== '/'; end++) {
    if (source[end] === '\\') end += 1
    else if (source[end] === '[') isClass = true
    else if (source[end] === ']') isClass = false
  }
  return end
}

/** To the closing backtick, or to the `{` of the next `${`. */
const templatePart = (source: string, from: number): number => {
  let at = from
  for (; source[at] !== '`'; at++) {
    if (source[at] === '\\') at += 1
    else if (source.startsWith('${', at)) return at + 1
  }
  return at
}

type Node =
  | { readonly kind: 'text'; readonly choices: readonly string[] }
  | { readonly kind: 'group'; readonly alternatives: readonly (readonly Node[])[] }
  | { readonly kind: 'repeat'; readonly node: Node; readonly min: number; readonly isOpen: boolean }

const candidates = Array.from({ length: 127 }, (_, code) => String.fromCharCode(code + 1)).concat(
  '\u00e9',
  '\u2028',
  '\u{1f600}',
)

class Parser {
  readonly #source: string
  readonly #flags: string
  #at = 0

  constructor({ source, flags }: RegExp) {
    this.#source = source
    this.#flags = flags.replaceAll(/[gy]/g, '')
  }

  alternatives(): Node[][] {
    const all: Node[][] = [[]]
    for (; this.#at < this.#source.length && this.#source[this.#at] !== ')';) {
      if (this.#source[this.#at] === '|') {
        this.#at += 1
        all.push([])
        continue
      }
      const node = this.#quantified(this.#atom())
      if (node !== undefined) all.at(-1)?.push(node)
    }
    return all
  }

  #atom(): Node | undefined {
    const character = this.#source[this.#at] as string
    if (character === '(') {
      const [opening = '('] = /^\((?:\?(?:[:=!]|<[=!]|<\w+>))?/.exec(this.#source.slice(this.#at)) ?? []
      this.#at += opening.length
      const alternatives = this.alternatives()
      this.#at += 1
      return /[=!]$/.test(opening) ? undefined : { kind: 'group', alternatives }
    }
    const [token = character] =
      /^(?:\\(?:x[0-9a-f]{2}|u[0-9a-f]{4}|u\{[0-9a-f]+\}|p\{\w+\}|[^])|\[(?:\\[^]|[^\]\\])*\])/i.exec(
        this.#source.slice(this.#at),
      ) ?? []
    this.#at += token.length
    if (token === '^' || token === '$' || token === '\\b' || token === '\\B') return undefined
    if (/^\\[1-9]/.test(token)) return { kind: 'text', choices: [''] }
    const one = new RegExp(`^${token}$`, this.#flags)
    const matching = candidates.filter((candidate) => one.test(candidate))
    // The first, the last and one of each sort: two classes that overlap do so in one of them.
    const sorts = [/[a-z]/, /[A-Z]/, /\d/, / /, /[-_.]/, /["'\\]/, /[/:?]/, /\s/, /[^\x20-\x7e]/]
    const chosen = sorts.map((sort) => matching.find((candidate) => sort.test(candidate)))
    return {
      kind: 'text',
      choices: [...new Set([...chosen, matching[0]])].filter((text) => text !== undefined),
    }
  }

  #quantified(node: Node | undefined): Node | undefined {
    const [all, , , low, comma, high] =
      /^(?:(\*)|(\+)|\?|\{(\d+)(,?)(\d*)\})\??/.exec(this.#source.slice(this.#at)) ?? []
    if (all === undefined) return node
    this.#at += all.length
    if (node === undefined) return undefined
    const min = all.startsWith('+') ? 1 : Number(low ?? 0)
    const isOpen = /^[*+]/.test(all) || (comma === ',' && high === '') || Number(high ?? 0) > 50
    return { kind: 'repeat', node, min, isOpen }
  }
}

/** One text that a node matches, as far as lookarounds let it. */
const sample = (node: Node): string => {
  if (node.kind === 'text') return node.choices[0] ?? ''
  if (node.kind === 'repeat') return sample(node.node).repeat(node.min)
  return (node.alternatives[0] ?? []).map(sample).join('')
}

/** Texts that one turn of a node may match: for a class one of each sort, for a group each of its ways. */
const turns = (node: Node): string[] => {
  if (node.kind === 'text') return [...node.choices]
  if (node.kind === 'repeat') return turns(node.node)
  return node.alternatives.flatMap((sequence) => [
    sequence.map((part) => sample(part) || (turns(part)[0] ?? '')).join(''),
    sequence.map(sample).join(''),
    ...sequence.flatMap(turns),
  ])
}

interface Pump {
  readonly before: string
  readonly turn: string
}

const pumpsIn = (sequence: readonly Node[], before: string): Pump[] => {
  const pumps: Pump[] = []
  let prefix = before
  for (const node of sequence) {
    if (node.kind === 'repeat' && node.isOpen) {
      for (const turn of turns(node.node)) pumps.push({ before: prefix, turn })
      // From each of its beginnings a match may be tried to the end.
      pumps.push({ before: '', turn: prefix + sample(node.node) }, { before: '', turn: prefix })
    }
    const inner = node.kind === 'repeat' ? node.node : node
    if (inner.kind === 'group') for (const part of inner.alternatives) pumps.push(...pumpsIn(part, prefix))
    prefix += sample(node)
  }
  return pumps
}

const tails = ['', '\u0000', ' ', '"', '?']

/**
 * Texts on which a match is tried for long where it can be: something repeated, and an end that does not fit.
 * @returns the texts of about a length, in the same order for each length
 */
export const hardTexts = (pattern: RegExp): ((length: number) => string[]) => {
  const ways = new Parser(pattern).alternatives()
  const pumps = ways.flatMap((sequence) => [
    ...pumpsIn(sequence, ''),
    { before: '', turn: sequence.map(sample).join('') },
    { before: '?', turn: sequence.map(sample).join('') },
  ])
  const keys = new Map(
    pumps.filter(({ turn }) => turn !== '').map((pump) => [`${pump.before}\n${pump.turn}`, pump]),
  )
  return (length) =>
    [...keys.values()].flatMap(({ before, turn }) =>
      tails.map((tail) => before + turn.repeat(Math.ceil(length / turn.length)) + tail),
    )
}
