/**
 * Selects the ImageStream tags that the watch of all ImageStreams mirrors, with the filters of the former program in the same order.
 * @see https://github.com/openshift/ci-tools/blob/main/pkg/controller/quay_io_ci_images_distributor/quay_io_ci_images_distributor.go
 */
import { formatTarget, type ImageStreamTag } from '../names/qci-names.ts'
import { distributorFlag, type DistributorOptions } from './distributor-options.ts'
import { noInputs, type TestInputs } from './test-inputs.ts'

export interface Verdict {
  readonly isWanted: boolean
  /** Why: a sentence without its full stop. */
  readonly reason: string
}

export class ImageFilter {
  readonly #options: DistributorOptions
  readonly #inputs: TestInputs

  constructor(options: DistributorOptions, inputs: TestInputs = noInputs) {
    this.#options = options
    this.#inputs = inputs
  }

  /** The first filter with a result decides. */
  verdictOf(imageStreamTag: ImageStreamTag): Verdict {
    const { ignoredTags, additionalTags, additionalNamespaces, additionalStreams } = this.#options
    const { namespace, name } = imageStreamTag
    const tag = formatTarget(imageStreamTag)
    const stream = `${namespace}/${name}`
    if (ignoredTags.has(tag)) return { isWanted: false, reason: namedBy('ignore-image-stream-tag') }
    if (additionalTags.has(tag)) return wanted(namedBy('additional-image-stream-tag'))
    if (additionalNamespaces.has(namespace)) return wanted(namedBy('additional-image-stream-namespace'))
    if (this.#inputs.tags.has(tag)) return wanted('a test of ci-operator uses it')
    if (additionalStreams.has(stream)) return wanted(namedBy('additional-image-stream'))
    if (this.#inputs.streams.has(stream))
      return wanted('a configuration of ci-operator takes a release from its ImageStream')
    return { isWanted: false, reason: 'no filter of the controller selects it' }
  }
}

const wanted = (reason: string): Verdict => ({ isWanted: true, reason })

const namedBy = (flag: Parameters<typeof distributorFlag>[0]): string => `--${distributorFlag(flag)} names it`
