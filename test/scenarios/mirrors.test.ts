/**
 * The mirror's queue on the proxy: what reaches the mirror, and for whom. RBAC of `manifests/examples/mirror-viewers.yaml`: alice may look,
 * and an administrator of the cluster may sync.
 */
import { METHODS } from 'node:http'
import t from 'tap'
import { startFakeMirror } from '../page/mirror-queue/fake-mirror.ts'
import { scenario, type Scenario } from './scenario.ts'

const mirror = await startFakeMirror()
const sent = () => mirror.seen.splice(0).map(({ method, url }) => `${method} ${url}`)
const sync = '/mirrors/ocp/ubi:9/sync'

const administratorOf = ({ kubernetes, remember }: Scenario) =>
  remember(kubernetes.issueUserToken({ username: 'root', groups: ['system:masters'] }))

/** Paths that are of no image, and those that another reader might take for the API of the mirror. */
const tricks = [
  '/mirrors/',
  '/mirrors//',
  '/mirrors/..',
  '/mirrors/../api/v1/mirrors/ocp/ubi:9/sync',
  '/mirrors/../v2/',
  '/mirrors/%2e%2e/ubi:9/sync',
  '/mirrors/..%2f..%2fapi:v1/sync',
  '/mirrors/ocp%2fubi:9/sync',
  '/mirrors/ocp//ubi:9/sync',
  '/mirrors/ocp/ubi:9%2fsync',
  '/mirrors/ocp/ubi:9/sync/',
  '/mirrors/ocp/ubi:9/sync/sync',
  '/mirrors/ocp/ubi:9/delete',
  '/mirrors/ocp/ubi:9/..',
  '/mirrors/ocp/ubi:9%0d%0ahost:%20evil/sync',
  '/mirrors/ocp/ubi:9%00/sync',
  '/mirrors/ocp/%75bi:9',
  '/mirrors/@elsewhere/ubi:9',
  '/mirrors/http://elsewhere/x:y',
  '//mirrors/ocp/ubi:9/sync',
  '/Mirrors',
  '/mirrors.json',
  '/api/v1/mirrors',
  '/api/v1/mirrors/ocp/ubi:9/sync',
  'http://elsewhere/mirrors/ocp/ubi:9/sync',
]

await scenario(
  'a closed list: a POST leaves for the mirror alone, and only after RBAC said yes to post',
  async (test, s) => {
    const root = administratorOf(s)
    const upstream = s.upstreamRequests()
    for (const [token, expected] of [
      [undefined, 401],
      ['sha256~nobody', 401],
      [s.mallory, 403],
      [s.alice, 403],
      [s.puller, 403],
    ] as const)
      test.equal((await s.ask(sync, { method: 'POST', ...(token && { token }) })).status, expected)
    test.strictSame(sent(), [], 'nothing was sent without a yes')
    test.equal((await s.ask(sync, { method: 'POST', token: root })).status, 202)
    test.strictSame(sent(), ['POST /api/v1/mirrors/ocp/ubi%3A9/sync'])
    for (const method of [...METHODS, 'FOO'])
      for (const target of ['/mirrors', '/mirrors/ocp/ubi:9', sync, ...tricks]) {
        const isServed =
          (method === 'GET' && ['/mirrors', '/mirrors/ocp/ubi:9'].includes(target)) ||
          (method === 'POST' && target === sync)
        if (isServed) continue
        const answer = await s.raw(
          `${method} ${target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${root}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`,
        )
        if (!/^HTTP\/1\.1 40[045] /.test(answer)) test.fail(`${method} ${target}`, { answer })
      }
    test.strictSame(sent(), [], 'no other method or path leaves the proxy')
    test.equal(s.upstreamRequests(), upstream, 'and none reached upstream')
  },
  [`--mirror-url=${mirror.url.origin}`],
)

await scenario(
  'who may look: RBAC decides, and an unavailable API server opens nothing',
  async (test, s) => {
    const looked = await s.ask('/mirrors?state=waiting', { token: s.alice })
    test.equal(looked.status, 200)
    test.match(JSON.parse(looked.body.toString()), { total: 3, mirrors: [{ target: 'ocp/ubi:9' }] })
    test.equal((await s.ask('/mirrors/ocp/ubi:9', { token: s.alice })).status, 200)
    test.strictSame(sent(), [
      'GET /api/v1/mirrors?action=show&limit=100&state=waiting',
      'GET /api/v1/mirrors/ocp/ubi%3A9',
    ])
    const denied = await s.ask('/mirrors', { token: s.mallory })
    test.strictSame([denied.status, denied.code], [403, 'DENIED'])
    test.match(denied.message, 'mallory may not look at the queue in the mirror; ask for a ClusterRole')
    const robot = Buffer.from(`${s.robot.username}:${s.robot.password}`).toString('base64')
    const byRobot = await s.ask('/mirrors', { headers: { authorization: `Basic ${robot}` } })
    test.equal(byRobot.status, 403, 'a robot has no rights of the cluster')
    const late = s.remember(s.kubernetes.issueUserToken({ username: 'late', groups: ['qci-image-pullers'] }))
    await s.kubernetes.close()
    test.equal((await s.ask('/mirrors', { token: late })).status, 503)
    test.equal((await s.ask('/mirrors', { token: s.alice })).status, 200, 'a cached yes, as for pulls')
    test.strictSame(sent(), ['GET /api/v1/mirrors?action=show&limit=100'])
  },
  [`--mirror-url=${mirror.url.origin}`],
)

await t.test('the mirror of these tests ends', async () => mirror.close())
