/** What a pull costs others: quay, whose limits are per robot, and the API server of app.ci. */
import { pull } from '../../../src/sandbox/pull.ts'
import type { Quay } from '../../../src/sandbox/quay/quay.ts'
import { mustHold, type Part, type Section, type Setting } from '../section.ts'
import { startAppCi, type AppCi } from '../system/app-ci.ts'
import { scratch } from '../system/processes.ts'
import { startProxy } from '../system/proxy.ts'
import { countRequests, startSandboxQuay, tagImage } from '../system/quay.ts'

const layers = 20
/** Of an image for one platform: its manifest, its config and its layers. */
const resources = 1 + 1 + layers

interface Cost {
  readonly label: string
  /** Of quay alone: the CDN has no limit that a registry meets. */
  readonly quay: number
  readonly cdn: number
  readonly tokenReviews: number
  readonly accessReviews: number
}

/** What was asked for since the last time. */
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
 * qci-appci, as published: for each request that it proxies it asks quay `GET /v2` beside, whether the robot's token still holds;
 * a person's login is one TokenReview and one SubjectAccessReview, and every pull of a client that keeps a login begins with one.
 * It hands quay's redirect to the client, which fetches from the CDN by itself.
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
        'fewer requests of quay than the predecessor, cold and warm',
        `${cold.quay} and ${warm.quay} instead of ${predecessor.quay}`,
        cold.quay < predecessor.quay && warm.quay < predecessor.quay,
      ),
      mustHold(
        'a warm pull asks app.ci nothing',
        String(warm.tokenReviews + warm.accessReviews),
        warm.tokenReviews + warm.accessReviews === 0,
      ),
    ],
  }
}

export const requestsPerPull: Part = {
  name: 'requests-per-pull',
  title: 'Requests per pull',
  about: `What one pull of an image with ${layers} layers for one platform (a manifest, a config, ${layers} layers) makes of requests to
quay, to its CDN and to the API server of app.ci, counted by them. The row of the predecessor is computed from its source.`,
  run,
}
