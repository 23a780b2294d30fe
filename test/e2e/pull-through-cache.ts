import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { loadYaml } from '@kubernetes/client-node'
import { readManifests } from '../../src/sandbox/app-ci/rbac.ts'
import { answers, freePort, plainEnv, startService, type Service } from './process.ts'

type Account = { username: string; password: string }
type Settings = Record<'storage' | 'http' | 'proxy', Record<string, unknown>>
export type Cache = Service & {
  url: string
  /** @throws {Error} if they are not all stored, or not all removed, in time */
  stored: (digests: readonly string[]) => Promise<void>
  gone: (digests: readonly string[]) => Promise<void>
}

const manifests = join(import.meta.dirname, '../../manifests/distribution')

/** The configuration of manifests/distribution, with the addresses and paths of this machine. */
const settingsFor = async (storage: string, remoteUrl: string, addr: string): Promise<Settings> => {
  const configMap = (await readManifests(manifests)).find(({ kind }) => kind === 'ConfigMap')
  const data = configMap?.['data'] as Record<string, string> | undefined
  const settings = loadYaml<Settings>(data?.['config.yml'] ?? '')
  const { s3: _s3, ...rest } = settings.storage
  return {
    ...settings,
    storage: { ...rest, filesystem: { rootdirectory: storage } },
    http: { ...settings.http, addr },
    proxy: { ...settings.proxy, remoteurl: remoteUrl },
  }
}

const eventually = async (holds: () => Promise<boolean>, what: string) => {
  const deadline = Date.now() + 30_000
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`${what}: not within 30 s`)
    await sleep(25)
  }
}

/** A blob is two files: its bytes, and later the link that adds it to a repository. */
const placesOf = async (storage: string, repository: string, digest: string) => {
  const [algorithm = '', hex = ''] = digest.split(':')
  const registry = join(storage, 'docker/registry/v2')
  const link = join(registry, 'repositories', repository, '_layers', algorithm, hex, 'link')
  const bytes = join(registry, 'blobs', algorithm, hex.slice(0, 2), hex, 'data')
  const isLinked = (await readFile(link, 'utf8').catch(() => '')) === digest
  return Number(isLinked) + Number(existsSync(bytes))
}

/**
 * Debian's docker-registry as a pull-through cache, with its secrets where manifests/distribution has them: in the environment.
 * Caches with one `storage` are replicas of each other.
 */
export const startCache = async (options: {
  storage: string
  upstream: { url: string; repository: string }
  robot: Account
  patience?: number
}): Promise<Cache> => {
  const { storage, upstream, robot, patience = 30_000 } = options
  const addr = `127.0.0.1:${await freePort()}`
  const url = `http://${addr}`
  const file = `${storage}-${addr.split(':')[1]}.yml`
  // JSON is YAML
  await writeFile(file, JSON.stringify(await settingsFor(storage, upstream.url, addr)))
  const env = plainEnv({
    OTEL_TRACES_EXPORTER: 'none',
    REGISTRY_PROXY_USERNAME: robot.username,
    REGISTRY_PROXY_PASSWORD: robot.password,
    REGISTRY_HTTP_SECRET: 'the same for every replica',
  })
  const ready = () => answers(`${url}/v2/`, 200)
  const service = await startService('docker-registry', ['serve', file], ready, { env, patience })
  const all = async (digests: readonly string[], places: number) => {
    for (const digest of digests)
      await eventually(
        async () => (await placesOf(storage, upstream.repository, digest)) === places,
        `${digest} in ${places} places`,
      )
  }
  return { ...service, url, stored: (digests) => all(digests, 2), gone: (digests) => all(digests, 0) }
}

/** The list of files that the cache deletes, with their times, as if a week had passed since it fetched them. */
export const expireAll = async (storage: string, repository: string, digests: readonly string[]) => {
  const blob = 0
  const entries = digests.map((digest) => {
    const key = `${repository}@${digest}`
    return [key, { Key: key, ExpiryData: '2020-01-01T00:00:00Z', EntryType: blob }]
  })
  await writeFile(join(storage, 'scheduler-state.json'), JSON.stringify(Object.fromEntries(entries)))
}
