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

/** What happens while pulls run: `begin` after a tenth of them, before anybody but QCI-wide users has pulled, `end` near their end. */
type Phase = {
  name: string
  begin?: () => unknown
  end?: () => unknown
  /** The store may be away: a puller of one namespace in the form of the monorepo may be told to come again. */
  isStoreAway?: true
}

type Row = {
  /** Pulls that are right: all of them, those that succeeded, and tries that were told to come again. */
  pulls: number
  ok: number
  retried: number
  /** Pulls that must fail: all of them, and those that were told to come again instead. */
  forbidden: number
  later: number
  /** Of either sort. */
  wrong: number
}

class Table {
  readonly rows: Record<string, Row> = {}
  readonly wrong: string[] = []

  row(...keys: readonly string[]): Row {
    return (this.rows[keys.join(' | ')] ??= { pulls: 0, ok: 0, retried: 0, forbidden: 0, later: 0, wrong: 0 })
  }

  lines(): string[] {
    const line = (...cells: readonly (string | number)[]) => `| ${cells.join(' | ')} |`
    return [
      line('phase', 'identity', 'client', 'pulls', 'ok', 'retried/503', 'forbidden', 'of these 503', 'wrong'),
      line('---', '---', '---', ...Array.from({ length: 6 }, () => '--:')),
      ...Object.entries(this.rows).map(([key, row]) => line(key, ...Object.values(row))),
      line('all', '', '', ...Object.values(this.#total())),
    ]
  }

  #total(): Row {
    const total = this.row('')
    delete this.rows['']
    for (const row of Object.values(this.rows))
      for (const column of Object.keys(row) as (keyof Row)[]) total[column] += row[column]
    return total
  }
}

const mayFail = ({ isStoreAway }: Phase, identity: Identity, spec: string) =>
  isStoreAway === true && spec.startsWith('openshift/ci') && identity === 'one namespace'

const newcomer = ({ name }: Phase): Account => ({
  namespace: 'ci',
  name: `newcomer-${name.toLowerCase().replaceAll(/[^a-z]+/g, '-')}`,
})

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
/** Pulled before all of these. */
const crowdedTag = 'my-team_app_old'
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
  const crowded = await promotion.layer({ 'usr/share/crowded': randomBytes(1024) })
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
      if (result !== 'refused') {
        row.retried++
        if (tries < maxTries) {
          await sleep(500)
          continue
        }
        if (result === 'later' && mayFail(phase, identity, spec)) return
      }
      row.wrong++
      return void table.wrong.push(`${phase.name}: ${client} as ${identity}, ${spec}: ${outcome.output}`)
    }
  }
  const pullWrong = async (phase: Phase, client: ClientName, identity: Identity, spec: string) => {
    const row = table.row(phase.name, identity, client)
    row.forbidden++
    const result = resultOf(await clients[client](logins[identity], spec))
    if (result === 'later' || result === 'broken') row.later++
    if (result !== 'ok') return
    row.wrong++
    table.wrong.push(`${phase.name}: ${client} as ${identity} was given ${spec}`)
  }

  /** Bytes of a restricted image, asked of each replica itself. */
  const probeRestricted = async (phase: Phase, { restricted }: Record<Place, Promoted>) => {
    for (const identity of ['QCI-wide', 'one namespace', 'nobody'] as const)
      for (const host of proxies)
        for (const path of [`manifests/${restricted.digest}`, `blobs/${restricted.own}`]) {
          const row = table.row(phase.name, identity, 'HTTP')
          row.forbidden++
          const status = await get(host, path, logins[identity])
          if (status === 503) row.later++
          if (status === 403 || status === 503) continue
          row.wrong++
          table.wrong.push(`${phase.name}: ${identity} was answered ${status} for ${path} by ${host}`)
        }
  }
  /**
   * A base layer that is in more namespaces than one decision asks for: the manifest from one replica, the layer from others, which have
   * never heard of that puller.
   */
  const probeCrowded = async (phase: Phase) => {
    const login = { user: 'robot', token: await letIn(replicas, newcomer(phase), 'my-team') }
    const [first = '', ...others] = proxies
    const row = table.row(phase.name, 'one namespace', 'HTTP')
    for (const [host, path] of [
      [first, `manifests/${crowdedTag}`],
      ...others.map((other) => [other, `blobs/${crowded.descriptor.digest}`] as const),
    ] as const) {
      row.pulls++
      const status = await get(host, path, login)
      if (status === 200) row.ok++
      if (status === 503) row.retried++
      if (status === 200 || (status === 503 && phase.isStoreAway === true)) continue
      row.wrong++
      table.wrong.push(`${phase.name}: one namespace was answered ${status} for ${path} by ${host}`)
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
    const { begin = () => undefined, end = () => undefined } = phase
    const lists = clientNames.map((client) => pullsOf(phase, client, images))
    const total = lists.flat().length
    let [done, isOver] = [0, false]
    const until = async (share: number) => {
      while (done < total * share) await sleep(20)
    }
    const trouble = async () => {
      await until(0.1)
      await begin()
      if (phase.name !== 'fresh') await probeCrowded(phase)
      await until(0.75)
      await end()
      isOver = true
    }
    const pulling = async (list: (typeof lists)[number]) => {
      // Once, and again as long as the trouble lasts.
      for (let next = 0; next < list.length || !isOver; next++) {
        await list[next % list.length]!()
        done++
      }
    }
    await Promise.all([trouble(), ...lists.map(pulling)])
    await probeRestricted(phase, images)
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
      await suite.test(
        'a base layer comes to be in more namespaces than one decision asks for',
        async (t) => {
          const statuses = []
          for (const tag of [crowdedTag, ...crowd]) {
            await promotion.image(tag, crowded)
            statuses.push(await get(replicas.host, `manifests/${tag}`, logins['QCI-wide']))
          }
          t.strictSame(new Set(statuses), new Set([200]))
        },
      )
  }
  for (const line of table.lines()) suite.comment(line)

  await suite.test('all end cleanly, and wrote down no secret', async (t) => {
    t.strictSame(await replicas.stopProxies(), [0, 0, 0])
    const log = replicas.log()
    t.match(log, 'alice')
    for (const { token } of Object.values(logins)) t.notOk(log.includes(token), 'a token')
  })
})
