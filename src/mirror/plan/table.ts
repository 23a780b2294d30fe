/**
 * A plan as a table for people: the images to copy and why, the images that cannot be read, and the images that are left out.
 */
import { formatReference } from '../names/image-reference.ts'
import type { LeftOutImage } from './desired.ts'
import type { Finding } from './findings.ts'

/** Images that are the same on both sides are counted, not listed. */
export const formatPlan = (findings: readonly Finding[], leftOut: readonly LeftOutImage[]): string => {
  const rows = [
    ...findings.filter(({ state }) => state !== 'same').map(rowOf),
    ...leftOut.map(({ target, reason }) => ['left out', target, reason] as const),
  ]
  const width = Math.max(0, ...rows.map(([, target]) => target.length))
  const lines = rows.map(([state, target, text]) => `${state.padEnd(10)}  ${target.padEnd(width)}  ${text}`)
  const same = findings.length - findings.filter(({ state }) => state !== 'same').length
  return [...lines, `${same} of ${findings.length} images are up to date`].join('\n')
}

type Row = readonly [state: string, target: string, text: string]

const rowOf = (finding: Finding): Row => {
  const { image, state } = finding
  const source = formatReference(image.source)
  if (state === 'unreadable' || state === 'left out') return [state, image.target, finding.reason]
  if (state !== 'different') return [state, image.target, `${source} does not exist`]
  const old = finding.replaced === undefined ? 'nothing yet' : short(finding.replaced)
  return [
    finding.replaced === undefined ? 'new' : state,
    image.target,
    `${old} -> ${short(finding.digest)} of ${source}`,
  ]
}

const short = (digest: string): string => digest.slice(0, 'sha256:'.length + 12)
