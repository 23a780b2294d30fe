/** quay of the sandbox, and its requests. */
import { buildImage, type Image, type ImageOptions } from '../../../src/sandbox/quay/images.ts'
import type { RecordedRequest } from '../../../src/sandbox/quay/origin.ts'
import { startQuay, type Quay } from '../../../src/sandbox/quay/quay.ts'
import { repository } from './origin.ts'
import { robot } from './proxy.ts'

export const startSandboxQuay = async (): Promise<AsyncDisposable & { readonly quay: Quay }> => {
  const quay = await startQuay({ repository, robot })
  return { quay, [Symbol.asyncDispose]: async () => await quay.close() }
}

/** An image as CI builds them, under a tag. */
export const tagImage = async (
  quay: Quay,
  tag: string,
  options: Pick<ImageOptions, 'layers' | 'layerBytes' | 'platforms'>,
): Promise<Image> => {
  const image = await buildImage({ name: tag, format: 'oci', ...options })
  quay.tag(tag, image)
  return image
}

export interface Asked {
  readonly logins: number
  readonly manifests: number
  /** Requests to quay, each answered with a redirect. */
  readonly blobs: number
  /** Requests to the CDN behind it. */
  readonly cdn: number
}

export const countRequests = (requests: readonly RecordedRequest[]): Asked => {
  const count = (origin: RecordedRequest['origin'], path: RegExp) =>
    requests.filter((request) => request.origin === origin && path.test(request.url)).length
  return {
    // The request without a login, and the login.
    logins: count('quay', /^\/v2\/(?:auth\b.*)?$/),
    manifests: count('quay', /\/manifests\//),
    blobs: count('quay', /\/blobs\//),
    cdn: count('cdn', /./),
  }
}
