/** The requests that a pull causes at quay, whose limits are per robot, and at the API server of app.ci. */
import { pull } from '../../../src/sandbox/pull.ts'
import type { Quay } from '../../../src/sandbox/quay/quay.ts'
import { mustHold, type Part, type Section, type Setting } from '../section.ts'
import { startAppCi, type AppCi } from '../system/app-ci.ts'
import { scratch } from '../system/processes.ts'
import { startProxy } from '../system/proxy.ts'
import { countRequests, startSandboxQuay, tagImage } from '../system/quay.ts'

const layers = 20
/** The requests of an image for one platform: its manifest, its config and its layers. */
const resources = 1 + 1 + layers

interface Cost {
  readonly label: string
  /** Requests to quay alone: the CDN has no limit that a registry reaches. */
  readonly quay: number
  readonly cdn: number
  readonly tokenReviews: number
  readonly accessReviews: number
}

/** The requests since the last call. */
const createMeter = (quay: Quay, { api }: AppCi) => {
  let seen = { requests: 0, tokenReviews: 0, subjectAccessReviews: 0 }
  return (label: string): Cost => {
    const { logins, manifests, blobs, cdn } = countRequests(quay.requests.slice(seen.requests))
    const cost = {
      label,
      quay: logins + manifests + blobs,
      cdn,
      tokenReviews: api.requests.tokenReviews - seen.tokenReviews,
      accessReviews: api.requests.subjectAccessReviews - seen.subjectAccessReviews,
    }
    seen = { requests: quay.requests.length, ...api.requests }
    return cost
  }
}

/**
 * qci-appci, as published. For each request that it proxies, it also sends `GET /v2` to quay, to check the token of the robot. The login
 * of a person is one TokenReview and one SubjectAccessReview, and every pull of a client with a stored login begins with one. It passes
 * quay's redirect on to the client, which fetches from the CDN itself.
 * @see https://github.com/openshift/ci-tools/tree/main/cmd/qci-appci
 */
const predecessor: Cost = {
  label: 'qci-appci, any pull (computed)',
  quay: 2 * resources,
  cdn: 0,
  tokenReviews: 1,
  accessReviews: 1,
}

const run = async ({ main, say }: Setting): Promise<Section> => {
  await using directory = await scratch()
  await using appCi = await startAppCi()
  await using upstream = await startSandboxQuay()
  const { quay } = upstream
  await tagImage(quay, 'ocp_4.5_base', { platforms: ['linux/amd64'], layers, layerBytes: 16 * 1024 })
  const measure = createMeter(quay, appCi)
  await using proxy = await startProxy({ main, directory: directory.path, appCi, upstream: quay.url })
  const image = { registry: proxy.url, repository: 'ocp/4.5', reference: 'base' }
  const pullAs = async (username: string, password: string) => await pull({ ...image, username, password })
  const [alice, bob] = [appCi.issue('alice'), appCi.issue('bob')]
  say('pulls')
  const start = measure('quay-proxy, its start, once')
  await pullAs('alice', alice)
  const cold = measure('quay-proxy, the first pull of an image')
  await pullAs('alice', alice)
  const warm = measure('quay-proxy, the same person again')
  await pullAs('bob', bob)
  const other = measure('quay-proxy, another person')
  return {
    tables: [
      {
        columns: ['', 'quay', 'CDN, through us', 'TokenReviews', 'SubjectAccessReviews'],
        rows: [predecessor, start, cold, warm, other].map((cost) => [
          cost.label,
          ...[cost.quay, cost.cdn, cost.tokenReviews, cost.accessReviews].map(String),
        ]),
      },
    ],
    outcomes: [
      mustHold(
        'fewer requests to quay than the predecessor, cold and warm',
        `${cold.quay} and ${warm.quay} instead of ${predecessor.quay}`,
        cold.quay < predecessor.quay && warm.quay < predecessor.quay,
      ),
      mustHold(
        'a warm pull sends nothing to app.ci',
        String(warm.tokenReviews + warm.accessReviews),
        warm.tokenReviews + warm.accessReviews === 0,
      ),
    ],
  }
}

export const requestsPerPull: Part = {
  name: 'requests-per-pull',
  title: 'Requests per pull',
  about: `The requests that one pull of an image with ${layers} layers for one platform (a manifest, a config, ${layers} layers) causes at
quay, at its CDN and at the API server of app.ci. They count the requests themselves. The row of the predecessor is computed from its source.`,
  run,
}
