/**
 * Three replicas, each request of a pull to the next one: every client and every kind of requester gets the same result as with one replica,
 * also while replicas are replaced and while their shared store fails.
 */
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'tap'
import { missingApiServer, type Account } from './api-server.ts'
import { missing } from './process.ts'
import type { Promoted } from './promotion.ts'
import { Table } from './pull-table.ts'
import {
  forms,
  identities,
  letIn,
  places,
  promote,
  restrictedPuller,
  rights,
  specOf,
  teamPuller,
  type Identity,
  type Place,
} from './pullers.ts'
import { clientNames, resultOf, startClients, type ClientName, type Login } from './pulls.ts'
import { startReplicas } from './replica-set.ts'

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

/** The events while pulls run: `begin` after a tenth of them, when only QCI-wide users have pulled; `end` near their end. */
type Phase = {
  name: string
  begin?: () => unknown
  end?: () => unknown
  /** The store may be unavailable: a requester with one namespace may get 503 in the form of the monorepo. */
  isStoreAway?: true
}

const mayFail = ({ isStoreAway }: Phase, identity: Identity, spec: string) =>
  isStoreAway === true && spec.startsWith('openshift/ci') && identity === 'one namespace'

const newcomer = ({ name }: Phase): Account => ({
  namespace: 'ci',
  name: `newcomer-${name.toLowerCase().replaceAll(/[^a-z]+/g, '-')}`,
})

const crowd = Array.from({ length: 24 }, (_, number) => `crowd-${number}_base_latest`)
/** Pulled before all phases. */
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
  let crowdedChild = ''
  const table = new Table()

  const get = async (host: string, path: string, { token }: Login) => {
    const headers = { authorization: `Bearer ${token}`, accept: '*/*' }
    const response = await fetch(`http://${host}/v2/openshift/ci/${path}`, { headers, redirect: 'manual' })
    await response.body?.cancel()
    return response.status
  }

  /** Before that, it is open to requesters that know the digest: see docs/access.md. */
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
      if (result === 'ok') {
        row.ok++
        return
      }
      if (result !== 'refused') {
        row.retried++
        if (tries < maxTries) {
          await sleep(500)
          continue
        }
        if (result === 'later' && mayFail(phase, identity, spec)) return
      }
      row.wrong++
      table.wrong.push(`${phase.name}: ${client} as ${identity}, ${spec}: ${outcome.output}`)
      return
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

  /** Bytes of a restricted image, requested from each replica directly. */
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
   * A base layer in more namespaces than one decision reviews: the manifest from one replica, the layer from others, which have
   * no review of this requester.
   */
  const probeCrowded = async (phase: Phase) => {
    const login = { user: 'robot', token: await letIn(replicas, newcomer(phase), 'my-team') }
    const [first = '', ...others] = proxies
    const row = table.row(phase.name, 'one namespace', 'HTTP')
    for (const [host, path] of [
      [first, `manifests/${crowdedTag}`],
      [first, `manifests/${crowdedChild}`],
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
      // Two of about eight combinations. Each comes in some phase, with some client.
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
    for (const identity of identities)
      for (const client of [...clientNames, 'HTTP']) table.row(phase.name, identity, client)
    const lists = clientNames.map((client) => pullsOf(phase, client, images))
    const total = lists.flat().length
    const progress = { done: 0, isOver: false }
    const until = async (share: number) => {
      while (progress.done < total * share) await sleep(20)
    }
    const trouble = async () => {
      await until(0.1)
      await begin()
      if (phase.name !== 'fresh') await probeCrowded(phase)
      await until(0.75)
      await end()
      progress.isOver = true
    }
    const pulling = async (list: (typeof lists)[number]) => {
      // Once, and again while the failure lasts: then with pauses, which leave the CPU to the replicas that start.
      for (let next = 0; next < list.length || !progress.isOver; next++) {
        if (next >= list.length) await sleep(1_000)
        await list[next % list.length]!()
        progress.done++
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
      await suite.test('a base layer is in more namespaces than one decision may review', async (t) => {
        const statuses = []
        for (const tag of [crowdedTag, ...crowd]) {
          const { child } = await promotion.image(tag, crowded)
          if (tag === crowdedTag) crowdedChild = child
          for (const manifest of [tag, child])
            statuses.push(await get(replicas.host, `manifests/${manifest}`, logins['QCI-wide']))
        }
        t.strictSame(new Set(statuses), new Set([200]))
      })
  }
  for (const line of table.lines()) suite.comment(line)

  await suite.test('all end cleanly, and no log has a secret', async (t) => {
    t.strictSame(await replicas.stopProxies(), [0, 0, 0])
    const log = replicas.log()
    t.match(log, 'alice')
    for (const { token } of Object.values(logins)) t.notOk(log.includes(token), 'a token')
  })
})
