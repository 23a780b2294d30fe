/**
 * RESULTS.md. A run of some parts replaces their sections and leaves the others as they were. So each section says when and where it was
 * measured.
 */
import { execFileSync } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { cpus, totalmem } from 'node:os'
import { join } from 'node:path'
import { format } from 'prettier'
import type { Part, Section, Table } from './section.ts'

const file = join(import.meta.dirname, 'RESULTS.md')

const head = `# What quay-proxy costs

Written by \`npm run bench\`; do not edit. Everything ran side by side on one machine over loopback, the proxy as a process of its
own (\`quay-proxy serve\`, logging to a file, metrics on, \`--upstream-limits=none\` since the upstreams here have none), each figure the
median of alternating rounds unless it says otherwise. **Ratios hold on other machines, absolute figures do not.** A target that was not met says by how much.
`

/** Formatted as the other files of the repository, so that it can be committed unchanged. */
export const sectionText = async (part: Part, section: Section): Promise<string> => {
  const { tables, outcomes, notes = [] } = section
  const targets: Table = {
    columns: ['target', 'measured', ''],
    rows: outcomes.map(({ target, measured, verdict }) => [target, measured, verdict]),
  }
  const text = [
    `## ${part.title}`,
    part.about,
    ...[...tables, ...(outcomes.length === 0 ? [] : [targets])].map(tableText),
    ...notes,
    `_\`npm run bench -- ${part.name}\`, ${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC, ${machine()}_`,
  ].join('\n\n')
  return await format(text, { parser: 'markdown', printWidth: 110 })
}

/** @param order the titles of all parts, in the order of the file */
export const writeResults = async (
  sections: ReadonlyMap<string, string>,
  order: readonly string[],
): Promise<void> => {
  const kept = new Map([...(await readSections()), ...sections])
  const texts = order.map((title) => kept.get(title)).filter((text) => text !== undefined)
  await writeFile(file, await format([head, ...texts].join('\n'), { parser: 'markdown', printWidth: 110 }))
}

const readSections = async (): Promise<readonly [string, string][]> => {
  const text = await readFile(file, 'utf8').catch(() => '')
  return text
    .split(/^(?=## )/m)
    .slice(1)
    .map((section): [string, string] => [section.split('\n', 1).join('').slice('## '.length), section])
}

const tableText = ({ columns, rows }: Table): string =>
  [columns, columns.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')

const machine = (): string => {
  const cores = cpus()
  const gibibytes = Math.round(totalmem() / 2 ** 30)
  const model = cores[0]?.model.trim() ?? 'unknown'
  return `${cores.length} cores (${model}), ${gibibytes} GiB, Node ${process.versions.node}, nginx ${nginxVersion()}`
}

/** nginx prints its version on standard error. */
const nginxVersion = (): string =>
  execFileSync('sh', ['-c', 'nginx -v 2>&1'], { encoding: 'utf8' }).trim().split('/').at(-1) ?? 'unknown'
