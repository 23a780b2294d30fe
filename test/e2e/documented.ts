import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import { root } from './stack.ts'

/** What a client printed in each situation of docs/clients.md. */
export type Printed = { denied: string; token: string; absent: string }

// the heading each has in the document
const headings = { denied: 'No access', token: 'A token that is not accepted', absent: 'No such tag' }

/** ctr shows it of whatever takes a tenth of a second or longer. */
const isProgress = (line: string) => / resolving .*\|$|^elapsed: .* total: /.test(line)

/** As the same text would have read in production, without what differs from run to run. */
const normalized = (output: string, host: string) =>
  output
    .replaceAll(`http://${host}`, 'https://quay-proxy.ci.openshift.org')
    .replaceAll(host, 'quay-proxy.ci.openshift.org')
    .replaceAll(encodeURIComponent(host), 'quay-proxy.ci.openshift.org')
    .replaceAll(/sha256:[0-9a-f]{64}/g, 'sha256:...')
    .replaceAll(/\d{4}([-/])\d\d\1\d\d[T ]\d\d:\d\d:\d\d\S*?(?=["\s])/g, '...')
    .split('\n')
    .map((line) => line.trimEnd())
    .filter((line) => line !== '' && !isProgress(line))

const cell = (lines: string[]) => lines.map((line) => `\`${line}\``).join('<br>')

/** The table below a heading: what the first column holds, to what the second does. */
const tableOf = (document: string, heading: string) => {
  const section = document.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? ''
  const rows = section
    .split('\n')
    .map((line) => /^\| (?<client>\S+) +\| (?<text>.*?) *\|$/.exec(line)?.groups)
  return new Map(rows.flatMap((row) => (row ? [[row['client'], row['text']] as const] : [])))
}

/** Holds docs/clients.md against what the client really prints. */
export const documented = async (t: Test, { host }: { host: string }, client: string, printed: Printed) => {
  const document = await readFile(join(root, 'docs/clients.md'), 'utf8')
  for (const situation of ['denied', 'token', 'absent'] as const) {
    const text = cell(normalized(printed[situation], host))
    t.equal(tableOf(document, headings[situation]).get(client), text, headings[situation])
  }
}
