/**
 * Finds circles of copies: an image that is copied onto itself, or from QCI to app.ci and back.
 */
import {
  floatOf,
  formatSource,
  imageOf,
  imageStreamTagOf,
  type MirrorConfig,
} from '../config/mirror-config.ts'
import type { Position, Problem } from '../config/problem.ts'
import { floatTagOf, formatTarget } from '../names/qci-names.ts'
import type { ImageReference } from '../names/image-reference.ts'

interface Copy {
  /** Nodes of the graph: `quay.io/openshift/ci:<float>` and `registry.ci.openshift.org/<tag>`. */
  readonly from: string
  readonly to: string
  readonly position: Position
  readonly subject: string
}

export const checkCircles = (config: MirrorConfig): readonly Problem[] => {
  const copies = copiesOf(config)
  const byTarget = new Map(copies.map((copy) => [copy.to, copy]))
  return copies.flatMap((copy): Problem[] => {
    const circle = circleOf(copy, byTarget)
    if (circle === undefined) return []
    const { position, subject, from } = copy
    const isSelf = circle.length === 1
    return [
      {
        severity: 'error',
        position,
        subject,
        message: isSelf
          ? `${subject} copies ${from} onto itself`
          : `${subject} is a part of a circle of copies: ${[...circle.map(({ from: node }) => node), copy.to].join(' -> ')}`,
        cure: isSelf ? 'remove the entry, or name another source' : 'remove one of the entries of the circle',
      },
    ]
  })
}

const copiesOf = ({ supplemental, appCi }: MirrorConfig): readonly Copy[] => [
  ...supplemental.map(({ source, target, position, subject }) => ({
    from: nodeOf(imageOf(source)),
    to: qciNode(floatTagOf(target)),
    position,
    subject,
  })),
  ...appCi.map(({ source, target, position, subject }) => ({
    from: nodeOf(source),
    to: appCiNode(formatTarget(target)),
    position,
    subject,
  })),
]

const qciNode = (float: string): string => `quay.io/openshift/ci:${float}`
const appCiNode = (tag: string): string => `registry.ci.openshift.org/${tag}`

const nodeOf = (image: ImageReference): string => {
  const float = floatOf(image)
  if (float !== undefined) return qciNode(float)
  const tag = imageStreamTagOf(image)
  return tag === undefined ? formatSource({ kind: 'image', image }) : appCiNode(tag)
}

/** The circle of copies that `copy` belongs to, if there is one: each copy reads the target of the next one. */
const circleOf = (copy: Copy, byTarget: ReadonlyMap<string, Copy>): readonly Copy[] | undefined => {
  const path: Copy[] = [copy]
  const seen = new Set([copy.to])
  for (let at = copy; at.from !== copy.to;) {
    const next = byTarget.get(at.from)
    if (next === undefined || seen.has(next.to)) return undefined
    seen.add(next.to)
    path.unshift(next)
    at = next
  }
  return path
}
