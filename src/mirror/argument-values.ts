/**
 * The flags of `ci-images-mirror` that have a value: texts -> values.
 */
import { parseDuration, parseOrigin } from '../config/value-parsers.ts'
import { parseGoPattern, type GoPattern } from './config/go-pattern.ts'
import { qciRegistry, qciRepository } from './config/mirror-config.ts'
import { distributorFlag } from './distributor/distributor-options.ts'

/** Flags with a value, and their defaults. */
export const defaults = {
  config: undefined,
  base: undefined,
  format: 'plain',
  'online-timeout': '10m',
  'registry-config': undefined,
  'release-repo-git-sync-path': undefined,
  kubeconfig: undefined,
  'leader-election-namespace': 'ci',
  'leader-election-suffix': '',
  port: '8090',
  'metrics-port': '8080',
  gracePeriod: '10s',
  interval: '10m',
  qci: `${qciRegistry}/${qciRepository}`,
  'registry-origin': undefined,
  attachments: undefined,
  url: undefined,
  'log-level': 'debug',
  'enable-controller': undefined,
  [distributorFlag('additional-image-stream-tag')]: undefined,
  [distributorFlag('additional-image-stream')]: undefined,
  [distributorFlag('additional-image-stream-namespace')]: undefined,
  [distributorFlag('ignore-image-stream-tag')]: undefined,
} as const
export type ValueFlag = keyof typeof defaults

/** By the name of the flag, in their order. */
export type Texts = ReadonlyMap<string, readonly string[]>

/** Parses the texts of flags. A text that is not valid adds a problem. */
export class ArgumentValues {
  readonly #texts: Texts
  readonly #problems: string[]

  constructor(texts: Texts, problems: string[]) {
    this.#texts = texts
    this.#problems = problems
  }

  text(name: ValueFlag): string | undefined {
    return this.#texts.get(name)?.at(-1) ?? defaults[name]
  }

  oneOf<Value extends string>(name: ValueFlag, values: readonly Value[]): Value {
    const found = values.find((value) => value === this.text(name))
    return this.#valid(name, found, values.join(', ')) ?? (values[0] as Value)
  }

  port(name: ValueFlag): number {
    const port = Number(this.text(name))
    const isPort = /^\d{1,5}$/.test(`${this.text(name)}`) && port < 65_536
    return this.#valid(name, isPort ? port : undefined, 'a port') ?? 0
  }

  duration(name: ValueFlag): number {
    return this.#valid(name, parseDuration(`${this.text(name)}`), 'a duration such as 10s or 5m') ?? 0
  }

  url(name: ValueFlag): URL | undefined {
    const text = this.text(name)
    return text === undefined
      ? undefined
      : this.#valid(name, parseOrigin(text), 'an origin such as http://host:8090')
  }

  repository(name: ValueFlag): { readonly registry: string; readonly repository: string } {
    const [registry = '', ...path] = `${this.text(name)}`.split('/')
    const isWhole = registry !== '' && path.length > 0 && path.every((part) => part !== '')
    const value = isWhole ? { registry, repository: path.join('/') } : undefined
    return (
      this.#valid(name, value, 'a repository such as quay.io/openshift/ci') ?? {
        registry: '',
        repository: '',
      }
    )
  }

  origins(name: ValueFlag): ReadonlyMap<string, URL> {
    const pairs = (this.#texts.get(name) ?? []).map((text) => {
      const at = text.indexOf('=')
      const origin = parseOrigin(text.slice(at + 1))
      if (at < 1 || origin === undefined)
        this.#refuse(name, text, 'a registry and where it is, such as quay.io=http://127.0.0.1:5000')
      return [text.slice(0, Math.max(0, at)), origin as URL] as const
    })
    return new Map(pairs)
  }

  list(name: ValueFlag): readonly string[] {
    return this.#texts.get(name) ?? []
  }

  names(name: ValueFlag, pattern: RegExp, expected: string): ReadonlySet<string> {
    for (const text of this.list(name)) if (!pattern.test(text)) this.#refuse(name, text, expected)
    return new Set(this.list(name))
  }

  patterns(name: ValueFlag): readonly GoPattern[] {
    return (this.#texts.get(name) ?? []).flatMap((text) => {
      const pattern = parseGoPattern(text)
      if (typeof pattern === 'object') return [pattern]
      this.#refuse(name, text, `a regular expression over targets, such as ^ocp/; it ${pattern}`)
      return []
    })
  }

  #valid<Value>(name: ValueFlag, value: Value | undefined, expected: string): Value | undefined {
    if (value === undefined) this.#refuse(name, `${this.text(name)}`, expected)
    return value
  }

  #refuse(name: ValueFlag, text: string, expected: string): void {
    this.#problems.push(`--${name}=${text} is not valid: expected ${expected}`)
  }
}
