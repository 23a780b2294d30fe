/**
 * One requester pulls broken blobs. The others must not notice it.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { smallImage } from '../sandbox/quay/quay-client.ts'
import { accept, scenario, type Scenario } from './scenario.ts'

interface Attack {
  /** Connections of the requester of broken blobs. */
  readonly connections: number
  readonly paths: readonly string[]
  readonly headers?: Readonly<Record<string, string>>
}

/** Repeats its requests until the test stops it. */
const attack = (s: Scenario, { connections, paths, headers = {} }: Attack) => {
  const state = { isOver: false, answers: 0 }
  const loops = Array.from({ length: connections }, async (_, loop) => {
    for (let turn = loop; !state.isOver; turn++) {
      await s.ask(`${paths[turn % paths.length]}`, { token: s.alice, headers })
      state.answers += 1
    }
  })
  return {
    state,
    stop: async () => {
      state.isOver = true
      await Promise.all(loops)
    },
  }
}

const people = (s: Scenario, count: number) =>
  Array.from({ length: count }, (_, index) =>
    s.remember(s.kubernetes.issueUserToken({ username: `other-${index}`, groups: ['qci-image-pullers'] })),
  )

const layerPaths = async (s: Scenario, layers: number) => {
  const image = await smallImage({ layers, platforms: ['linux/amd64'] })
  s.quay.push(image)
  return [...image.blobs.keys()].slice(-layers).map((digest) => `/v2/openshift/ci/blobs/${digest}`)
}

await scenario(
  'attack: six blobs that the storage refuses, on 40 connections, do not affect eight others',
  async (t, s) => {
    const paths = await layerPaths(s, 8)
    const broken = paths.slice(0, 6)
    for (const path of broken)
      s.quay.fault({ origin: 'cdn', path: new RegExp(path.slice(-64)), status: 403, count: Infinity })
    const loops = attack(s, { connections: 40, paths: broken })
    await sleep(500)
    const statuses: number[] = []
    await Promise.all(
      people(s, 8).map(async (token) => {
        for (let turn = 0; turn < 25; turn++)
          statuses.push((await s.ask(`${paths[6 + (turn % 2)]}`, { token })).status)
      }),
    )
    await loops.stop()
    t.strictSame(
      statuses.filter((status) => status !== 200),
      [],
    )
    t.match(await s.metrics(), /quay_proxy_upstream_circuit_open_total\{scope="upstream"\} 0/)
  },
  ['--retry-timeout=3s'],
)

await scenario(
  'attack: a storage that fails for one range does not affect others',
  async (t, s) => {
    const paths = await layerPaths(s, 6)
    s.quay.fault({
      origin: 'cdn',
      path: /./,
      count: Infinity,
      raw: (request, response) =>
        void (request.headers['range'] === 'bytes=7-'
          ? response.writeHead(500).end()
          : response.writeHead(200, { 'content-length': '4' }).end('blob')),
    })
    const loops = attack(s, { connections: 12, paths, headers: { range: 'bytes=7-' } })
    const [bob = ''] = people(s, 1)
    const statuses: number[] = []
    for (let turn = 0; turn < 12; turn++) {
      await sleep(50)
      statuses.push((await s.ask(`${paths[turn % paths.length]}`, { token: bob })).status)
    }
    await loops.stop()
    t.strictSame(statuses, Array(12).fill(200))
  },
  ['--retry-timeout=3s'],
)

await scenario(
  'attack: tags for which upstream fails, on six connections, do not affect another tag',
  async (t, s) => {
    const good = Array.from({ length: 12 }, (_, index) => `ocp_good_${index}`)
    const bad = Array.from({ length: 6 }, (_, index) => `ocp_bad_${index}`)
    s.quay.tagMany([...good, ...bad], await smallImage())
    s.quay.fault({ origin: 'quay', path: /ocp_bad/, status: 500, count: Infinity })
    const loops = attack(s, {
      connections: 6,
      paths: bad.map((tag) => `/v2/openshift/ci/manifests/${tag}`),
      headers: { accept },
    })
    const [bob = ''] = people(s, 1)
    const statuses: number[] = []
    for (const tag of good) {
      await sleep(100)
      statuses.push(
        (await s.ask(`/v2/openshift/ci/manifests/${tag}`, { token: bob, headers: { accept } })).status,
      )
    }
    await loops.stop()
    t.strictSame(statuses, Array(12).fill(200))
  },
  ['--retry-timeout=3s'],
)
