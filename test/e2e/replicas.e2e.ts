/**
 * Three replicas, each request of a pull to the next one: every client and every sort of puller come to the same end as with one, also
 * while replicas are replaced and while the store that they share has trouble.
 */
import './tools.ts'
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'tap'
import { missingApiServer, type Account } from './api-server.ts'
import { missing } from './process.ts'
import type { Layer, Promoted, Promotion } from './promotion.ts'
import { clientNames, resultOf, startClients, type ClientName, type Login } from './pulls.ts'
import { startReplicas, type ReplicaSet } from './replica-set.ts'

const skip =
  missingApiServer() ||
  missing(
    'podman',
    'skopeo',
    'containerd',
    'ctr',
    'crane',
    'docker-registry',
    'nginx',
    'redis-server',
    'redis-cli',
  )

const identities = ['QCI-wide', 'one namespace', 'restricted', 'nobody'] as const
type Identity = (typeof identities)[number]

const places = {
  open: { namespace: 'ocp', name: '4.5' },
  team: { namespace: 'my-team', name: 'app' },
  restricted: { namespace: 'ocp-priv', name: '4.5' },
} as const
type Place = keyof typeof places

const rights: Record<Identity, { may?: Place; mayNot: readonly Place[] }> = {
  'QCI-wide': { may: 'open', mayNot: ['restricted'] },
  'one namespace': { may: 'team', mayNot: ['open', 'restricted'] },
  restricted: { may: 'restricted', mayNot: ['team'] },
  nobody: { mayNot: ['open', 'restricted'] },
}

/** Its rights are elsewhere than where it lives, so that its name tells nothing of them. */
const teamPuller: Account = { namespace: 'ci', name: 'team-puller' }
const restrictedPuller: Account = { namespace: 'ocp-priv', name: 'puller' }

const letIn = async ({ api }: ReplicaSet, account: Account, namespace: string) => {
  await api.apply({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { ...account } })
  await api.apply({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: { name: account.name, namespace },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'system:image-puller' },
    subjects: [{ kind: 'ServiceAccount', ...account }],
  })
  return await api.createToken(account)
}

type Form = { form: 'monorepo' | 'image stream'; by: 'tag' | 'digest' }
// a digest is pulled after a tag that reaches it
const forms: readonly Form[] = [
  { form: 'monorepo', by: 'tag' },
  { form: 'monorepo', by: 'digest' },
  { form: 'image stream', by: 'tag' },
  { form: 'image stream', by: 'digest' },
]

const specOf = (
  { namespace, name }: (typeof places)[Place],
  { tag, digest }: Promoted,
  { form, by }: Form,
) => {
  const repository = form === 'monorepo' ? 'openshift/ci' : `${namespace}/${name}`
  if (by === 'digest') return `${repository}@${digest}`
  return `${repository}:${form === 'monorepo' ? tag : tag.slice(`${namespace}_${name}_`.length)}`
}

/** What happens while pulls run: `begin` after a quarter of them, `end` after three quarters. */
type Phase = {
  name: string
  begin?: () => unknown
  end?: () => unknown
  /** The store may be away: a puller of one namespace in the form of the monorepo may be told to come again. */
  isStoreAway?: true
}

class Row {
  pulls = 0
  ok = 0
  later = 0
  wrong = 0
}

class Table {
  readonly rows = new Map<string, Row>()
  readonly wrong: string[] = []

  row(...keys: string[]): Row {
    const key = keys.join(' | ')
    const row = this.rows.get(key) ?? new Row()
    this.rows.set(key, row)
    return row
  }

  lines(): string[] {
    const line = (...cells: (string | number)[]) => `| ${cells.join(' | ')} |`
    return [
      line('phase', 'identity', 'client', 'pulls', 'ok', 'retried or 503', 'wrong'),
      line('---', '---', '---', '--:', '--:', '--:', '--:'),
      ...[...this.rows].map(([key, { pulls, ok, later, wrong }]) => line(key, pulls, ok, later, wrong)),
    ]
  }
}

const promote = async (promotion: Promotion, base: Layer, tag: string): Promise<Record<Place, Promoted>> => {
  const image = async ({ namespace, name }: (typeof places)[Place]) =>
    await promotion.image(`${namespace}_${name}_${tag}`, base)
  return {
    open: await image(places.open),
    team: await image(places.team),
    restricted: await image(places.restricted),
  }
}

const crowd = Array.from({ length: 24 }, (_, number) => `crowd-${number}_base_latest`)
const maxTries = 4

await test('three replicas behind a balancer', { skip }, async (suite) => {
  const replicas = await startReplicas(
    suite,
    [
      { username: 'alice', groups: ['qci-image-pullers'] },
      { username: 'mallory', groups: ['developers'] },
    ],
    ['--restricted-index-interval=1s', '--allow-ttl=2s', '--deny-ttl=1s', '--tag-ttl=1s'],
    async (promotion) => await promotion.image('ocp_first_latest', await promotion.layer({})),
  )
  const { promotion, redis, balancer, proxies, api } = replicas
  await writeFile(
    join(replicas.directory, 'policy.json'),
    JSON.stringify({ default: [{ type: 'insecureAcceptAnything' }] }),
  )
  const logins: Record<Identity, Login> = {
    'QCI-wide': { user: 'alice', token: api.userToken('alice') },
    'one namespace': { user: 'robot', token: await letIn(replicas, teamPuller, 'my-team') },
    restricted: { user: 'robot', token: await letIn(replicas, restrictedPuller, 'ocp-priv') },
    nobody: { user: 'mallory', token: api.userToken('mallory') },
  }
  const clients = await startClients(replicas)
  const base = await promotion.layer({ 'usr/share/base': randomBytes(256 * 1024) })
  const table = new Table()

  const get = async (host: string, path: string, { token }: Login) => {
    const headers = { authorization: `Bearer ${token}`, accept: '*/*' }
    const response = await fetch(`http://${host}/v2/openshift/ci/${path}`, { headers, redirect: 'manual' })
    await response.body?.cancel()
    return response.status
  }

  /** Until then it is open to those who know the digest: docs/access.md tells of it. */
  const untilClosed = async ({ restricted }: Record<Place, Promoted>) => {
    for (const host of proxies)
      for (let patience = 300; ; patience--) {
        if ((await get(host, `manifests/${restricted.digest}`, logins['QCI-wide'])) === 403) break
        if (patience === 0) throw new Error(`${host} does not close what is restricted`)
        await sleep(100)
      }
  }

  const pullRight = async (phase: Phase, client: ClientName, identity: Identity, spec: string) => {
    const row = table.row(phase.name, identity, client)
    row.pulls++
    for (let tries = 1; ; tries++) {
      const outcome = await clients[client](logins[identity], spec)
      const result = resultOf(outcome)
      if (result === 'ok') return void row.ok++
      const isForgiven = result === 'later' || result === 'broken'
      if (isForgiven) row.later++
      if (isForgiven && tries < maxTries) {
        await sleep(500)
        continue
      }
      const mayFail =
        phase.isStoreAway === true && spec.startsWith('openshift/ci') && identity === 'one namespace'
      if (result === 'later' && mayFail) return
      row.wrong++
      return void table.wrong.push(`${phase.name}: ${client} as ${identity}, ${spec}: ${outcome.output}`)
    }
  }
  const pullWrong = async (phase: Phase, client: ClientName, identity: Identity, spec: string) => {
    const row = table.row(phase.name, identity, client)
    row.pulls++
    const outcome = await clients[client](logins[identity], spec)
    const result = resultOf(outcome)
    if (result === 'refused') row.ok++
    else if (result === 'later' || result === 'broken') row.later++
    else {
      row.wrong++
      table.wrong.push(`${phase.name}: ${client} as ${identity} was given ${spec}`)
    }
  }
  /** Bytes of a restricted image, from each replica itself. */
  const probe = async (phase: Phase, { restricted }: Record<Place, Promoted>) => {
    for (const identity of ['QCI-wide', 'one namespace', 'nobody'] as const)
      for (const host of proxies)
        for (const path of [`manifests/${restricted.digest}`, `blobs/${restricted.own}`]) {
          const row = table.row(phase.name, identity, 'HTTP')
          row.pulls++
          const status = await get(host, path, logins[identity]).catch(() => 0)
          if (status === 403) row.ok++
          else if (status === 503 || status === 0) row.later++
          else {
            row.wrong++
            table.wrong.push(`${phase.name}: ${identity} was answered ${status} for ${path} by ${host}`)
          }
        }
  }

  let turn = 0
  const pullsOf = (phase: Phase, client: ClientName, images: Record<Place, Promoted>) =>
    identities.flatMap((identity) => {
      const { may, mayNot } = rights[identity]
      const right = may === undefined ? [] : forms.map((form) => specOf(places[may], images[may], form))
      // Two of the eight or so that there are: each of them comes in some phase, with some client.
      const wrong = Array.from({ length: may === undefined ? 4 : 2 }, () => {
        const place = mayNot[turn % mayNot.length]!
        return specOf(places[place], images[place], forms[Math.floor(turn++ / mayNot.length) % forms.length]!)
      })
      return [
        ...right.map((spec) => async () => await pullRight(phase, client, identity, spec)),
        ...wrong.map((spec) => async () => await pullWrong(phase, client, identity, spec)),
      ]
    })

  const run = async (phase: Phase, images: Record<Place, Promoted>) => {
    const lists = clientNames.map((client) => pullsOf(phase, client, images))
    const total = lists.flat().length
    let [done, begun, ended] = [0, phase.begin === undefined, phase.end === undefined]
    let trouble: Promise<unknown> = Promise.resolve()
    const step = () => {
      done++
      if (!begun && done >= total / 4) {
        begun = true
        trouble = Promise.resolve(phase.begin?.())
        trouble.catch(() => undefined)
      }
      if (!ended && done >= (total * 3) / 4) {
        ended = true
        trouble = trouble.then(phase.end)
        trouble.catch(() => undefined)
      }
    }
    await Promise.all(
      lists.map(async (list) => {
        for (const pull of list) {
          await pull()
          step()
        }
      }),
    )
    await probe(phase, images)
    await trouble
  }

  const phases: readonly Phase[] = [
    { name: 'fresh' },
    { name: 'warm' },
    { name: 'rolling restart', begin: replicas.rollingRestart },
    { name: 'FLUSHALL', begin: async () => await redis.cli('FLUSHALL'), isStoreAway: true },
    {
      name: 'SIGSTOP, SIGCONT',
      begin: () => redis.signal('SIGSTOP'),
      end: () => redis.signal('SIGCONT'),
      isStoreAway: true,
    },
    { name: 'SIGKILL, started empty', begin: redis.restart, isStoreAway: true },
    {
      name: 'maxmemory exceeded',
      begin: async () => await redis.cli('CONFIG', 'SET', 'maxmemory', '1'),
      end: async () => await redis.cli('CONFIG', 'SET', 'maxmemory', '0'),
      isStoreAway: true,
    },
  ]

  for (const [number, phase] of phases.entries()) {
    const images = await promote(promotion, base, `v${number}`)
    await untilClosed(images)
    await suite.test(phase.name, async (t) => {
      const before = table.wrong.length
      const began = performance.now()
      await balancer.statuses()
      await run(phase, images)
      t.same(table.wrong.slice(before), [], 'no wrong answer')
      const statuses = [...(await balancer.statuses())].map(([status, count]) => `${count} x ${status}`)
      t.comment(`${((performance.now() - began) / 1000).toFixed(1)} s; answers: ${statuses.join(', ')}`)
    })
    if (number === 0)
      // From now on the base layer is in more namespaces than one decision asks for.
      for (const tag of crowd) {
        await promotion.image(tag, base)
        suite.equal(await get(replicas.host, `manifests/${tag}`, logins['QCI-wide']), 200)
      }
  }
  for (const line of table.lines()) suite.comment(line)

  await suite.test('all end cleanly, and wrote down no secret', async (t) => {
    t.strictSame(await replicas.stopProxies(), [0, 0, 0])
    const log = replicas.log()
    t.match(log, 'alice')
    for (const { token } of Object.values(logins)) t.notOk(log.includes(token), 'a token')
  })
})
