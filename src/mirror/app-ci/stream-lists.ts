/**
 * Reads ImageStreams of app.ci: all of a namespace in pages, or a single one.
 */
import type { KubeConfig } from '@kubernetes/client-node'
import { readPages } from '../../kubernetes/list-and-watch.ts'
import { currentImagesOf, type CurrentImages } from './current-images.ts'

/** Which ImageStreams are read: the one with this name, or without a name all of the namespace. */
export interface StreamSelector {
  readonly namespace: string
  readonly name?: string | undefined
  /** Which tags are cached: all of them, unless given. */
  readonly keeps?: (name: string, tag: string) => boolean
}

/** Current images by `namespace/name`. */
export type StreamImages = ReadonlyMap<string, CurrentImages>

export const imageStreams = { group: 'image.openshift.io', version: 'v1', plural: 'imagestreams' }

/** Objects. A page is in memory as a whole, as text and as objects: 50 large ImageStreams have some 10 MB. */
const pageSize = 50

/** One list after the other, so that one page is in memory at a time. @throws {Error} if a list cannot be read */
export const readStreams = async (
  kubeConfig: KubeConfig,
  selectors: readonly StreamSelector[],
  signal: AbortSignal,
): Promise<StreamImages> => {
  const streams = new Map<string, CurrentImages>()
  for (const { namespace, name, keeps } of selectors) {
    const bounds = { namespace, pageSize, ...(name === undefined ? {} : { name }) }
    await readPages(
      kubeConfig,
      imageStreams,
      signal,
      (items) => {
        for (const item of items) {
          const stream = item.metadata?.name ?? ''
          const current = currentImagesOf(item, (tag) => keeps?.(stream, tag) ?? true)
          if (stream !== '' && current.size > 0) streams.set(`${namespace}/${stream}`, current)
        }
      },
      bounds,
    ).catch((error: unknown) => {
      throw new Error(`app.ci does not list the ImageStreams of ${namespace}: ${(error as Error).message}`, {
        cause: error,
      })
    })
  }
  return streams
}
