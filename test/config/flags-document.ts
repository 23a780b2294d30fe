/**
 * docs/flags.md, made from the flag table. To write it anew:
 *
 *     npm run docs
 */
import { writeFileSync } from 'node:fs'
import { aliases, deprecatedFlags, environmentName, flags } from '../../src/config/flags.ts'
import type { Flag } from '../../src/config/flag-kinds.ts'

const code = (text: string): string => (text === '' ? '' : `\`${text}\``)

const row = ({ name, help, fallback = '', choices }: Flag): string => {
  const others = choices.filter((choice) => choice !== fallback).map(code)
  const values = [code(fallback), ...others].filter((value) => value !== '').join(', ')
  return `| \`--${name}\` | ${values} | ${help.replaceAll('|', '\\|')} | \`${environmentName(name)}\` |`
}

export const flagsDocument = (): string =>
  [
    '# Flags',
    '',
    'The flags of `quay-proxy serve`. Each has a twin in the environment; the flag wins. Secrets come as files only, and are read again when they',
    'change, as are the TLS certificate and key. Durations are written `90s`, `5m`, `6h`. This file is made from the flag table by `npm run docs`; a test compares.',
    '',
    '| flag | default, other values | what it does | in the environment |',
    '| --- | --- | --- | --- |',
    ...Object.values(flags).map(row),
    '',
    '## Taken over from qci-appci',
    '',
    '| flag | meaning |',
    '| --- | --- |',
    ...Object.entries(aliases).map(([old, key]) => `| \`--${old}\` | \`--${flags[key].name}\` |`),
    ...Object.entries(deprecatedFlags).map(
      ([name, { reason }]) => `| \`--${name}\` | no effect: ${reason} |`,
    ),
    '',
  ].join('\n')

if (import.meta.main) writeFileSync('docs/flags.md', flagsDocument())
