/**
 * Resolves tags of restricted namespaces as soon as an ImageStream claims that they moved, one run after the other.
 *
 * Attack: any editor of such a namespace can change what an ImageStream claims many times a second.
 */
import type { QciTag } from '../oci/reference.ts'

/** Tags of one namespace that wait. Further tags are resolved by a request for them, or in the next round of the index. */
const maxWaiting = 50

export interface ClaimFollowerOptions {
  readonly follow: (tags: readonly QciTag[]) => Promise<void>
  readonly onFailure: (error: unknown) => void
}

export const createClaimFollower = ({ follow, onFailure }: ClaimFollowerOptions) => {
  const waiting = new Map<string, Set<QciTag>>()
  let isRunning = false
  const run = async (): Promise<void> => {
    while (waiting.size > 0) {
      const tags = [...waiting.values()].flatMap((ofNamespace) => [...ofNamespace])
      waiting.clear()
      await follow(tags).catch(onFailure)
    }
    isRunning = false
  }
  return (namespace: string, tags: readonly QciTag[]): void => {
    const ofNamespace = waiting.get(namespace) ?? new Set()
    for (const tag of tags) if (ofNamespace.size < maxWaiting) ofNamespace.add(tag)
    if (ofNamespace.size === 0) return
    waiting.set(namespace, ofNamespace)
    if (isRunning) return
    isRunning = true
    void run()
  }
}
