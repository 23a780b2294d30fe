/**
 * All sections of the configuration, with the ImageStreams of app.ci.
 */
import type { KubeConfig } from '@kubernetes/client-node'
import type { MirrorConfig } from '../config/mirror-config.ts'
import type { DesiredReading, DesiredSource } from '../plan/desired-source.ts'
import { allDesiredImages } from './desired-images.ts'
import { selectorsOf } from './selectors.ts'
import { readStreams, type StreamImages } from './stream-lists.ts'

/** Milliseconds for all lists together. A connection that hangs must not stop the external images. */
const listsTimeoutMs = 300_000

export const appCiImages = (kubeConfig: KubeConfig): DesiredSource => new AppCiSource(kubeConfig)

class AppCiSource implements DesiredSource {
  readonly #kubeConfig: KubeConfig
  /** The ImageStreams of the last complete list. */
  #streams: StreamImages = new Map()

  constructor(kubeConfig: KubeConfig) {
    this.#kubeConfig = kubeConfig
  }

  readonly read = async (config: MirrorConfig, signal: AbortSignal): Promise<DesiredReading> => {
    try {
      const bounded = AbortSignal.any([signal, AbortSignal.timeout(listsTimeoutMs)])
      this.#streams = await readStreams(this.#kubeConfig, selectorsOf(config), bounded)
    } catch (error) {
      signal.throwIfAborted()
      // External images do not need the cluster.
      const problem = `${(error as Error).message}; its ImageStreams are those of the last complete list`
      return { ...allDesiredImages(config, this.#streams), problem }
    }
    return allDesiredImages(config, this.#streams)
  }
}
