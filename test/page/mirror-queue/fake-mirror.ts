/** A mirror on a real socket: its answers are set by each test, and every request is written down. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import type { Test } from 'tap'
import type { Identity } from '../../../src/access/identity.ts'
import { createDescribeImage } from '../../../src/page/mirror-queue/describe-image.ts'
import { createMirrorRights } from '../../../src/page/mirror-queue/mirror-rights.ts'
import { MirrorOrigin, type MirrorOriginOptions } from '../../../src/page/mirror-queue/mirror-origin.ts'
import type { PathRight } from '../../../src/access/reviews.ts'
import { serve, type FlatOptions } from '../../server/server-options.ts'

export const task = {
  source_tag_ref: { namespace: '', name: '', tag: '' },
  source: 'quay.io/ubi/ubi:9',
  destination: 'quay.io/openshift/ci:ocp_ubi_9',
  current_quay_digest: '',
  created_at: '2026-11-01T12:00:00.000Z',
  stale: false,
  owner: 'supplementalCIImagesService',
  state: 'waiting',
  target: 'ocp/ubi:9',
  failures: 0,
  last_error: '',
}
export const queue = { mirrors: [task], total: 3 }
export const image = {
  target: 'ocp/ubi:9',
  source: 'quay.io/ubi/ubi:9',
  state: 'same',
  explanation: 'quay.io/openshift/ci:ocp_ubi_9 is the image of quay.io/ubi/ubi:9.',
  digest: null,
  failures: 0,
  copied_at: '2026-11-01T12:00:00.000Z',
}

export interface Seen {
  readonly method: string
  readonly url: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

type Reply = (seen: Seen, response: ServerResponse) => void

export const json = (status: number, body: unknown): Reply => {
  return (_seen, response) =>
    void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

/** As the API of the mirror answers. */
const usual: Reply = (seen, response) => {
  const isList = seen.url.startsWith('/api/v1/mirrors?')
  json(seen.method === 'POST' ? 202 : 200, isList ? queue : image)(seen, response)
}

/** The caller closes it. */
export const startFakeMirror = async () => {
  const seen: Seen[] = []
  const close = (): void => {
    server.closeAllConnections()
    server.close()
  }
  const mirror = { url: new URL('http://127.0.0.1'), seen, reply: usual, close }
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { method = '', url = '', headers } = request
    const one = { method, url, headers, body: await text(request) }
    seen.push(one)
    mirror.reply(one, response)
  }
  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  mirror.url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  return mirror
}

export type Review = PathRight & { readonly username: string }

/** A proxy before a mirror. RBAC says yes, unless a test says otherwise. */
export const serveMirror = async (
  test: Test,
  {
    allows = () => true,
    limits = {},
    more = {},
  }: {
    readonly allows?: (review: Review) => boolean
    readonly limits?: Partial<MirrorOriginOptions>
    readonly more?: Partial<FlatOptions>
  } = {},
) => {
  const mirror = await startFakeMirror()
  test.teardown(mirror.close)
  const reviews: Review[] = []
  const outcomes: string[] = []
  const origin = new MirrorOrigin({
    url: mirror.url,
    userAgent: 'quay-proxy/1',
    observe: (method, outcome) => void outcomes.push(`${method} ${outcome}`),
    ...limits,
  })
  test.teardown(async () => await origin.close())
  const reviewPath = async ({ user }: Identity, right: PathRight) => {
    const review = { ...right, username: user.username }
    reviews.push(review)
    return { allowed: allows(review), source: 'live' as const }
  }
  const rights = createMirrorRights({ reviewPath })
  const served = await serve(test, {
    mirror: { mirror: origin, rights },
    describeImage: createDescribeImage({ mirror: origin, rights }),
    ...more,
  })
  return { ...served, mirror, reviews, origin, outcomes }
}
