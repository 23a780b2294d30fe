/**
 * The texts of `--help`. They are generated from the flag tables, so that every described flag exists.
 */
import { cacheFlags } from './cache-arguments.ts'
import { auditReportFlags, sandboxFlags } from './command-arguments.ts'
import { explainFlags } from './explain-arguments.ts'
import type { Flag, FlagTable } from './flag-kinds.ts'
import { aliases, deprecatedFlags, environmentName, flags } from './flags.ts'

interface CommandHelp {
  /** Behind the name of the program. */
  readonly usage: string
  /** What the command is for. */
  readonly summary: string
  readonly flags: FlagTable
  readonly hasNoTwins?: boolean
  /** Stands behind the flags. */
  readonly more?: string
}

const takenOver = `Taken over from qci-appci: ${Object.entries(aliases)
  .map(([old, key]) => `--${old} is --${flags[key].name}`)
  .join('; ')}; ${Object.entries(deprecatedFlags)
  .map(([name, { reason }]) => `--${name} is accepted and has no effect (${reason})`)
  .join('; ')}.`

const commands = {
  serve: {
    usage: '[serve] [flags]',
    summary: 'the proxy',
    flags,
    more: takenOver,
  },
  sandbox: {
    usage: 'sandbox [flags]',
    summary: 'an embedded cluster and registry with the proxy in front, to try it',
    flags: sandboxFlags,
    hasNoTwins: true,
  },
  explain: {
    usage: 'explain IMAGE [flags]',
    summary: 'whether you may pull an image, and the next step; exit code 0: you may; 1: not; 2: unknown',
    flags: explainFlags,
  },
  'audit-report': {
    usage: 'audit-report [FILE...] [flags]',
    summary:
      'users that would lose access, from the log of a proxy with --authorization=audit (default: standard input)',
    flags: auditReportFlags,
  },
  cache: {
    usage: 'cache stats|verify|rm DIGEST|TAG --cache-dir=DIR',
    summary: 'lists or verifies the cache in a directory, or removes an image from it',
    flags: cacheFlags,
  },
} as const satisfies Readonly<Record<string, CommandHelp>>

export type CommandName = keyof typeof commands

/** Every command. */
export const help = (): string => {
  const rows = [
    ...Object.values(commands).map(({ usage, summary }) => row(`quay-proxy ${usage}`, summary)),
    row('quay-proxy COMMAND --help', 'the flags of a command; those of the proxy: quay-proxy serve --help'),
    row('quay-proxy --version', ''),
  ]
  return `quay-proxy: pull images of OpenShift CI from one quay.io repository, if the RBAC of a cluster allows it

${rows.join('\n')}
`
}

const [indent, width] = [33, 130]

/** The usage, and the summary behind it or, if there is no room, below it. */
const row = (usage: string, summary: string): string => {
  const lines = wrap(summary, width - indent)
  const head = `  ${usage}`
  const text = lines.join(`\n${''.padEnd(indent)}`)
  if (head.length >= indent) return `${head}\n${''.padEnd(indent)}${text}`
  return `${head.padEnd(indent)}${text}`.trimEnd()
}

const twins = `Each flag has a twin in the environment: --qci-namespace is ${environmentName('qci-namespace')}; the flag wins.\n`

/** One command: its flags, their defaults and their values. */
export const helpOf = (name: CommandName): string => {
  const { usage, summary, flags: table, hasNoTwins = false, more }: CommandHelp = commands[name]
  return `quay-proxy ${usage}

${wrap(summary, width).join('\n')}

${hasNoTwins ? '' : twins}In brackets: the default, and the other values where they can be listed.

${Object.values(table).map(describe).join('\n')}
${more === undefined ? '' : `\n${wrap(more, width).join('\n')}\n`}`
}

const flagIndent = 31

const describe = ({ name, help: text, fallback = '', choices }: Flag): string => {
  const others = choices.filter((choice) => choice !== fallback)
  const values = others.length === 0 ? fallback : `${fallback}; or ${others.join(', ')}`
  const shown = values === '' ? '' : ` (${values})`
  const lines = wrap(`${text}${shown}`, width - flagIndent)
  const head = `  --${name}`
  return lines.map((line, index) => `${(index === 0 ? head : '').padEnd(flagIndent)}${line}`).join('\n')
}

/** Breaks a text between words into lines of at most `most` characters. */
const wrap = (text: string, most: number): readonly string[] => {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const line = `${lines.at(-1)} ${word}`
    if (lines.length > 0 && line.length <= most) lines[lines.length - 1] = line
    else lines.push(word)
  }
  return lines
}
