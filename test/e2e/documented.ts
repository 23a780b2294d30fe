import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import { root } from './stack.ts'

/** The output of a client in each situation of docs/clients.md. */
export type Printed = { denied: string; token: string; absent: string }

// The heading of each situation in the document.
const headings = { denied: 'No access', token: 'A token that is not accepted', absent: 'No such tag' }

/** ctr prints the time of everything that takes a tenth of a second or longer. */
const isProgress = (line: string) => / resolving .*\|$|^elapsed: .* total: /.test(line)

/** The text as it would be in production, without the parts that differ from run to run. */
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

/** The block of a client below a heading. */
const documentedText = (document: string, heading: string, client: string): string | undefined => {
  const section = document.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? ''
  const own = section.split(/^### /m).find((part) => part.startsWith(`${client}\n`)) ?? ''
  return /^```text\n([\s\S]*?)\n```$/m.exec(own)?.[1]
}

/** Compares docs/clients.md with the output of the client. */
export const documented = async (t: Test, { host }: { host: string }, client: string, printed: Printed) => {
  const document = await readFile(join(root, 'docs/clients.md'), 'utf8')
  for (const situation of ['denied', 'token', 'absent'] as const) {
    const text = normalized(printed[situation], host).join('\n')
    t.equal(documentedText(document, headings[situation], client), text, headings[situation])
  }
}
