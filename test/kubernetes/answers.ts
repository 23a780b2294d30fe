/** What may stand in the place of a review: for each, why it is none. */
import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'

export interface Foreign {
  readonly status: number
  readonly body: string
  readonly headers?: Readonly<Record<string, string>>
}

const alice = { username: 'alice', uid: 'u-1', groups: ['g'], extra: { scopes: ['user:full'] } }

export const tokenStatus = { authenticated: true, user: alice, audiences: ['a'] }
export const accessStatus = { allowed: true }

export const kinds = {
  TokenReview: { apiVersion: 'authentication.k8s.io/v1', status: tokenStatus },
  SubjectAccessReview: { apiVersion: 'authorization.k8s.io/v1', status: accessStatus },
} as const
export type Kind = keyof typeof kinds

export const review = (kind: Kind, status: unknown, more: Readonly<Record<string, unknown>> = {}): string =>
  JSON.stringify({ kind, apiVersion: kinds[kind].apiVersion, metadata: {}, status, ...more })

const notStrings: readonly unknown[] = [5, true, {}, [], { toString: 'x' }]
const notLists: readonly unknown[] = [5, true, 'abc', {}, [5], [null], [['a']], ['a', {}]]
const notObjects: readonly unknown[] = [5, 'x', true, []]

/** Statuses of the right kind with something wrong in them. */
const wrongStatuses: Readonly<Record<Kind, readonly unknown[]>> = {
  TokenReview: [
    null,
    5,
    'true',
    [],
    [tokenStatus],
    undefined,
    ...['true', 1, null, {}, [true]].map((authenticated) => ({ ...tokenStatus, authenticated })),
    ...[undefined, null, ...notObjects, {}].map((user) => ({ ...tokenStatus, user })),
    ...['', null, undefined, ...notStrings].map((username) => ({
      ...tokenStatus,
      user: { ...alice, username },
    })),
    ...notStrings.map((uid) => ({ ...tokenStatus, user: { ...alice, uid } })),
    ...notLists.map((groups) => ({ ...tokenStatus, user: { ...alice, groups } })),
    ...[5, 'x', true, []].map((extra) => ({ ...tokenStatus, user: { ...alice, extra } })),
    ...notLists.map((value) => ({ ...tokenStatus, user: { ...alice, extra: { key: value } } })),
    ...notLists.map((audiences) => ({ ...tokenStatus, audiences })),
    ...notStrings.map((error) => ({ authenticated: false, error })),
  ],
  SubjectAccessReview: [
    null,
    5,
    'true',
    [],
    [accessStatus],
    undefined,
    {},
    ...['true', 1, null, {}, [true]].map((allowed) => ({ allowed })),
    ...['true', 1, {}, [true]].map((denied) => ({ allowed: true, denied })),
    ...notStrings.map((reason) => ({ allowed: true, reason })),
    ...notStrings.map((evaluationError) => ({ allowed: true, evaluationError })),
  ],
}

const failed = (code: number, message = 'x') =>
  JSON.stringify({ kind: 'Status', apiVersion: 'v1', status: 'Failure', message, code })

/** Each is no review of this kind, however much it looks like one. */
export const foreignAnswers = (kind: Kind): readonly Foreign[] => {
  const { apiVersion, status } = kinds[kind]
  const good = review(kind, status)
  const bodies = [
    '',
    ' ',
    '{}',
    '[]',
    'null',
    'true',
    '5',
    '"x"',
    '<html>Welcome to nginx!</html>',
    'OK',
    good.slice(0, -1),
    `${good}}`,
    `[${good}]`,
    failed(200),
    ...['Status', 'tokenreview', 'SelfSubjectReview', null, 5].map((other) =>
      JSON.stringify({ kind: other, apiVersion, status }),
    ),
    ...['v1', null, 'authentication.k8s.io/v1beta1'].map((other) =>
      JSON.stringify({ kind, apiVersion: other, status }),
    ),
    JSON.stringify({ kind, apiVersion }),
    ...wrongStatuses[kind].map((wrong) => review(kind, wrong)),
  ]
  return [
    ...[200, 201].flatMap((code) => bodies.map((body) => ({ status: code, body }))),
    ...[202, 203, 206, 400, 404, 405, 409, 418, 422].map((code) => ({ status: code, body: good })),
    { status: 204, body: '' },
  ]
}

/** A server that answers everything alike, until told otherwise. Counts. */
export const startForeign = async (test: Test) => {
  const server = {
    answer: { status: 200, body: '' } as Foreign,
    asked: 0,
    bodies: [] as string[],
    port: 0,
    accepts: '',
    traceparents: [] as unknown[],
    userAgents: [] as unknown[],
  }
  const listening = createServer((request, response) => {
    server.asked += 1
    server.userAgents.push(request.headers['user-agent'])
    server.traceparents.push(request.headers['traceparent'])
    let body = ''
    request.setEncoding('utf8').on('data', (chunk: string) => (body += chunk))
    request.on('end', () => {
      server.bodies.push(body)
      if (server.accepts !== '' && request.headers.authorization !== server.accepts) {
        response.writeHead(401).end()
        return
      }
      response.writeHead(server.answer.status, {
        'content-type': 'application/json',
        ...server.answer.headers,
      })
      response.end(server.answer.body)
    })
  }).listen(0, '127.0.0.1')
  await once(listening, 'listening')
  test.teardown(() => {
    listening.closeAllConnections()
    listening.close()
  })
  server.port = (listening.address() as AddressInfo).port
  return server
}
