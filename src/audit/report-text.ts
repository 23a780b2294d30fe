/**
 * The report as text: the largest loss first, each with the bindings that prevent it.
 */
import type { Loss, Report } from './report.ts'

export const reportText = (report: Report): string => {
  const { lines, losses, from, to, gained, undecided } = report
  const period = from === undefined ? '' : `, ${from} to ${to}`
  const notes = [
    `${requests(lines.decided)} decided about in ${lines.all} lines${period}.`,
    ...(lines.unreadable === 0 ? [] : [`Lines that could not be read: ${lines.unreadable}.`]),
    ...(gained === 0 ? [] : [`${requests(gained)} would be allowed that are refused today.`]),
    ...(undecided === 0
      ? []
      : [`For ${requests(undecided)} app.ci did not say in time what --authorization=enforce would decide.`]),
  ]
  return [...headline(losses), ...losses.flatMap(paragraph), ...notes].join('\n')
}

const headline = (losses: readonly Loss[]): readonly string[] => {
  if (losses.length === 0)
    return [
      'No loss is logged. (Losses are logged with --authorization=audit alone: is this log of such a proxy?)',
      '',
    ]
  const identities = new Set(losses.flatMap((loss) => Object.keys(loss.identities)))
  const total = losses.reduce((sum, { count }) => sum + count, 0)
  const who = identities.size === 1 ? '1 identity' : `${identities.size} identities`
  return [`${who} would lose access with --authorization=enforce: ${requests(total)}.`, '']
}

const requests = (count: number): string => (count === 1 ? '1 request' : `${count} requests`)

const paragraph = (loss: Loss): readonly string[] => {
  const { serviceAccountNamespace, identities, namespace, count, images, lastSeen, keptBy } = loss
  const who =
    serviceAccountNamespace === undefined
      ? Object.keys(identities).join(', ')
      : `service accounts of ${serviceAccountNamespace}`
  const what = namespace === undefined ? 'images of no known namespace' : `images of namespace ${namespace}`
  const accounts = serviceAccountNamespace === undefined ? [] : Object.entries(identities)
  return [
    `${who}: ${what} (${requests(count)}, the last ${lastSeen})`,
    ...accounts.map(([identity, times]) => `    ${identity} (${times})`),
    `    ${images.join(', ')}${images.length < 5 ? '' : ', ...'}`,
    ...(keptBy.length === 0
      ? ['    no binding keeps it: a digest is open once an image that holds it was pulled by tag']
      : ['  kept by', ...keptBy.map((command) => `    ${command}`)]),
    '',
  ]
}
