/**
 * quay limits the requests of one address, and all requesters share that limit. The tests count who sends which requests, and who waits.
 */
import { dirname, join } from 'node:path'
import { decodeJwt } from 'jose'
import { parseConfig } from '../../src/config/config.ts'
import { createLogger } from '../../src/telemetry/logging.ts'
import { startProxy } from '../../src/proxy/start.ts'
import { smallImage } from '../sandbox/quay/quay-client.ts'
import { accept, scenario, type Scenario } from './scenario.ts'

const limited = ['--upstream-limits=quay']

const bobOf = (s: Scenario) =>
  s.remember(s.kubernetes.issueUserToken({ username: 'bob', groups: ['qci-image-pullers'] }))
const manifestOf = (tag: string) => `/v2/openshift/ci/manifests/${tag}`
const pullManifest = async (s: Scenario, tag: string, token = s.alice) =>
  await s.ask(manifestOf(tag), { token, headers: { accept } })
/** Requests to quay with such a path. */
const seenAt = (s: Scenario, part: string) =>
  s.quay.requests.filter(({ origin, url }) => origin === 'quay' && url.includes(part))
const tagsNamed = (name: string, count: number) =>
  Array.from({ length: count }, (_, index) => `ocp_${name}_${String(index).padStart(4, '0')}`)
const stockWith = async (s: Scenario, tags: readonly string[]) => {
  s.quay.tagMany(tags, await smallImage())
}

await scenario(
  "one requester's loop over 1,000 tags: within quay's limits, and another requester is served in between",
  async (t, s) => {
    const bob = bobOf(s)
    const [loop, wanted] = [tagsNamed('loop', 1000), tagsNamed('wanted', 4)]
    await stockWith(s, [...loop, ...wanted])
    // Both requesters are known, and the robot has its token.
    for (const token of [s.alice, bob]) t.equal((await pullManifest(s, 'ocp_4.5_base', token)).status, 200)
    const seenBefore = seenAt(s, '/manifests/').length
    const start = performance.now()
    const statuses: Record<number, number> = {}
    const refusals: Awaited<ReturnType<typeof pullManifest>>[] = []
    const left = [...loop]
    const work = async () => {
      for (let tag = left.pop(); tag !== undefined; tag = left.pop()) {
        const answer = await pullManifest(s, tag, bob)
        statuses[answer.status] = (statuses[answer.status] ?? 0) + 1
        if (answer.status === 429) refusals.push(answer)
      }
    }
    const looping = Promise.all(Array.from({ length: 250 }, work))
    while (refusals.length === 0 && left.length > 0) await new Promise((resolve) => setTimeout(resolve, 5))
    for (const tag of wanted) t.equal((await pullManifest(s, tag)).status, 200)
    await looping
    const seconds = (performance.now() - start) / 1000
    const seen = seenAt(s, '/manifests/').slice(seenBefore)
    t.ok(seen.length <= 9 + 45 * seconds + 1, `${seen.length} manifests in ${seconds} s`)
    // Without shares by requester, the last of these would wait behind the 135 requests of the loop until its end.
    t.match(seen.at(-1)?.url, /loop/, 'in turn')
    t.equal((statuses[200] ?? 0) + (statuses[429] ?? 0), 1000, JSON.stringify(statuses))
    t.ok((statuses[200] ?? 0) >= 100)
    // A late request is hedged.
    const tagsSeen = new Set(seen.map(({ url }) => url)).size
    t.equal(tagsSeen, (statuses[200] ?? 0) + wanted.length, 'who is refused costs quay nothing')
    const [refusal] = refusals
    t.equal(refusal?.code, 'TOOMANYREQUESTS')
    t.match(refusal?.message, /^you ask for more at once than the upstream registry grants/)
    t.match(refusal?.headers.get('retry-after'), /^[1-9]\d*$/)
    t.match(
      await s.metrics(),
      /quay_proxy_upstream_rate_limited_total\{kind="manifest",reason="own-queue"\} [1-9]/,
    )
  },
  limited,
)

await scenario(
  'pages of tags: fetched once for all requesters, and a loop over them does not affect manifests',
  async (t, s) => {
    await stockWith(s, tagsNamed('many', 250))
    const bob = bobOf(s)
    const before = seenAt(s, '/tags/list').length
    const lists = await Promise.all(
      Array.from({ length: 20 }, async (_, index) => {
        const token = index % 2 === 0 ? s.alice : bob
        return await s.ask('/v2/openshift/ci/tags/list?n=1000', { token })
      }),
    )
    t.strictSame([...new Set(lists.map(({ status }) => status))], [200])
    t.strictSame(new Set(lists.map(({ body }) => body.toString())).size, 1)
    t.equal(seenAt(s, '/tags/list').length - before, 3)
    t.equal((await pullManifest(s, 'ocp_many_0001')).status, 200)
    // Each for another page, so that none is cached: more requests than the limit grants for some seconds.
    const loop = Promise.all(
      tagsNamed('many', 30).map(
        async (last) => (await s.ask(`/v2/openshift/ci/tags/list?n=1&last=${last}`, { token: bob })).status,
      ),
    )
    t.equal((await pullManifest(s, 'ocp_many_0002')).status, 200)
    const page = await s.ask('/v2/openshift/ci/tags/list?n=1&last=ocp_many_0200', { token: s.alice })
    t.equal(page.status, 200)
    const statuses = await loop
    t.strictSame(new Set(statuses), new Set([200, 429]), 'some are served, some are told to wait')
  },
  limited,
)

await scenario(
  "quay's 429: the proxy waits for its Retry-After or passes it on, and sends nothing meanwhile",
  async (t, s) => {
    const fresh = tagsNamed('fresh', 4)
    await stockWith(s, fresh)
    t.equal((await pullManifest(s, 'ocp_4.5_base')).status, 200)
    const before = seenAt(s, '/manifests/').length
    s.quay.fault({ origin: 'quay', path: /manifests/, status: 429, headers: { 'retry-after': '1' } })
    const answers = await Promise.all(fresh.slice(0, 2).map(async (tag) => await pullManifest(s, tag)))
    t.strictSame(
      answers.map(({ status }) => status),
      [200, 200],
      'nobody noticed',
    )
    const waited = seenAt(s, '/manifests/').slice(before)
    t.ok(waited.length <= 4, 'asked again once, each')
    s.quay.fault({ origin: 'quay', path: /manifests/, status: 429, headers: { 'retry-after': '30' } })
    const refused = await pullManifest(s, `${fresh[2]}`)
    t.equal(refused.status, 429)
    t.equal(refused.code, 'TOOMANYREQUESTS')
    t.equal(refused.headers.get('retry-after'), '30')
    const seen = seenAt(s, '/manifests/').length
    const next = await pullManifest(s, `${fresh[3]}`)
    t.equal(next.status, 429)
    t.match(next.headers.get('retry-after'), /^(?:30|2\d)$/)
    t.equal(seenAt(s, '/manifests/').length, seen, 'nothing is asked')
    const blob = await s.ask(`/v2/openshift/ci/blobs/${s.stock.openLayers[0]}`, { token: s.alice })
    t.equal(blob.status, 200, 'blobs have a limit of their own')
    t.equal((await s.ask('/v2/openshift/ci/tags/list', { token: s.alice })).status, 200, 'and so have tags')
    t.match(await s.metrics(), /quay_proxy_upstream_pause_seconds_total\{kind="manifest"\} 3[01]/)
  },
)

await scenario('a 502 for every third request: no pull fails', async (t, s) => {
  const tags = tagsNamed('bad-day', 40)
  await stockWith(s, tags)
  let asked = 0
  const when = () => ++asked % 3 === 0
  s.quay.fault({ origin: 'quay', path: /manifests/, status: 502, count: Infinity, when })
  for (const tag of tags) t.equal((await pullManifest(s, tag)).status, 200, tag)
  t.equal(seenAt(s, '/manifests/').filter(({ status }) => status === 502).length, Math.floor(asked / 3))
  t.ok(asked >= 59)
})

await scenario(
  'two robots share the load, both may log in, and one that loses access is replaced',
  async (t, s) => {
    const second = { username: 'openshift+second', password: s.remember('the password of the second robot') }
    s.quay.setRobot(s.robot, second)
    const folder = t.testdir({
      usernames: `${s.robot.username}\n${second.username}\n`,
      passwords: `${s.robot.password}\n${second.password}\n`,
    })
    const args = [
      '--listen-addr=127.0.0.1:0',
      `--robot-username-file=${join(folder, 'usernames')}`,
      `--robot-password-file=${join(folder, 'passwords')}`,
      `--token-secret-file=${s.files.tokenSecret}`,
      `--kubeconfig=${join(dirname(s.files.password), 'kubeconfig')}`,
      `--upstream=${s.quay.url}`,
      `--upstream-repository=${s.quay.repository}`,
      '--upstream-limits=none',
      '--grace-period=0s',
      '--restricted-index=off',
    ]
    const lines: string[] = []
    const logger = createLogger('trace', { write: (line) => void lines.push(line) })
    const proxy = await startProxy(parseConfig(args, {}), logger)
    const blob = `${proxy.url}/v2/openshift/ci/blobs/${s.stock.openLayers[0]}`
    const statusOf = async () => {
      const answer = await fetch(blob, { headers: { authorization: `Bearer ${s.alice}` } })
      t.notMatch(await answer.text(), second.username)
      return answer.status
    }
    /** Requests for blobs since that moment, by robot. */
    const byRobot = (since: number) => {
      const counts: Record<string, number> = {}
      for (const { headers } of seenAt(s, '/blobs/').slice(since)) {
        const { sub = '' } = decodeJwt(headers.authorization?.replace('Bearer ', '') ?? '')
        counts[sub] = (counts[sub] ?? 0) + 1
      }
      return counts
    }
    try {
      const before = seenAt(s, '/blobs/').length
      t.strictSame(
        await Promise.all(Array.from({ length: 40 }, statusOf)),
        Array.from({ length: 40 }, () => 200),
      )
      t.strictSame(byRobot(before), { [s.robot.username]: 20, [second.username]: 20 })
      for (const { username, password } of [s.robot, second]) {
        const login = Buffer.from(`${username}:${password}`).toString('base64')
        const realm = await fetch(`${proxy.url}/v2/auth`, { headers: { authorization: `Basic ${login}` } })
        t.equal(realm.status, 200)
        t.equal(decodeJwt(((await realm.json()) as { token: string }).token).sub, username)
      }
      s.quay.setRobot(s.robot, { ...second, mayPull: false })
      // The token of each robot becomes invalid once. One robot gets a new token, the other does not.
      for (let robot = 0; robot < 2; robot++) {
        s.quay.fault({ origin: 'quay', path: /blobs/, expire: true })
        t.equal(await statusOf(), 200)
      }
      const since = seenAt(s, '/blobs/').length
      for (let pull = 0; pull < 10; pull++) t.equal(await statusOf(), 200)
      t.strictSame(byRobot(since), { [s.robot.username]: 10 })
      const alarms = lines.filter((line) => line.includes(`${second.username}: the robot may not pull`))
      t.equal(alarms.length, 1, 'and the log names it')
      t.notOk(lines.some((line) => line.includes(second.password)))
    } finally {
      await proxy.stop()
    }
  },
)
