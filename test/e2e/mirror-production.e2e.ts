/**
 * A configuration like the one in production, from its file to the bytes: Debian's docker-registry as QCI and its neighbours, as the
 * registry of app.ci, and as all other registries; ImageStreams of a real API server; skopeo as the oracle.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { test, type Test } from 'tap'
import { allDesiredImages } from '../../src/mirror/app-ci/desired-images.ts'
import { selectorsOf } from '../../src/mirror/app-ci/selectors.ts'
import { readStreams } from '../../src/mirror/app-ci/stream-lists.ts'
import { parseMirrorConfig } from '../../src/mirror/config/parse.ts'
import type { MirrorEvent } from '../../src/mirror/mirror-options.ts'
import { Mirror } from '../../src/mirror/mirror.ts'
import type { DesiredImage } from '../../src/mirror/plan/desired.ts'
import { Registries } from '../../src/mirror/registry/registries.ts'
import { validate } from '../../src/mirror/validation/validate.ts'
import type { KubernetesObject } from '../../src/sandbox/app-ci/rbac.ts'
import { missingApiServer, startApiServer } from './api-server.ts'
import { definition } from './image-stream-definition.ts'
import { answers, freePort, missing, plainEnv, run, startService } from './process.ts'
import { productionMirror, type SourceImage } from './production-mirror.ts'
import { RegistryStorage, storeImage } from './registry-storage.ts'

const startRegistry = async (suite: Test, directory: string): Promise<string> => {
  const host = `127.0.0.1:${await freePort()}`
  const file = join(directory, 'registry.yml')
  await mkdir(directory, { recursive: true })
  // JSON is YAML.
  const configuration = {
    version: '0.1',
    log: { level: 'error' },
    storage: { filesystem: { rootdirectory: join(directory, 'storage') } },
    http: { addr: host },
    validation: { manifests: { urls: { allow: ['^https://mcr\\.microsoft\\.com/'] } } },
  }
  await writeFile(file, JSON.stringify(configuration))
  const env = plainEnv({ OTEL_TRACES_EXPORTER: 'none' })
  const ready = async () => await answers(`http://${host}/v2/`, 200)
  const service = await startService('docker-registry', ['serve', file], ready, { env })
  suite.teardown(service.stop)
  return host
}

/** Requests of undici by method; those to the API server are not among them. */
const countRequests = (hosts: readonly string[]) => {
  const counts = new Map<string, number>()
  const count = (message: unknown): void => {
    const { request } = message as { readonly request: { readonly method: string; readonly origin: string } }
    if (hosts.some((host) => request.origin === `http://${host}`))
      counts.set(request.method, (counts.get(request.method) ?? 0) + 1)
  }
  subscribe('undici:request:create', count)
  return {
    counts,
    stop: () => {
      unsubscribe('undici:request:create', count)
    },
  }
}

/** So many at a time. */
const inParallel = async <Item>(
  items: readonly Item[],
  count: number,
  action: (item: Item) => Promise<void>,
) => {
  const rest = [...items]
  const work = async (): Promise<void> => {
    for (let item = rest.pop(); item !== undefined; item = rest.pop()) await action(item)
  }
  await Promise.all(Array.from({ length: count }, work))
}

const accept = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ')

interface Content {
  readonly manifests?: readonly { readonly digest: string }[]
  readonly config?: { readonly digest: string }
  readonly layers?: readonly { readonly digest: string; readonly urls?: readonly string[] }[]
}

/** Every manifest of an image as text, by its path below the image. A HEAD checks that each blob exists. */
const contentOf = async (host: string, repository: string, reference: string): Promise<readonly string[]> => {
  const response = await fetch(`http://${host}/v2/${repository}/manifests/${reference}`, {
    headers: { accept },
  })
  const text = await response.text()
  if (response.status !== 200) return [`${reference}: ${response.status}`]
  const { manifests = [], config, layers = [] } = JSON.parse(text) as Content
  const blobs = [
    ...(config === undefined ? [] : [config]),
    ...layers.filter(({ urls }) => urls === undefined),
  ]
  const found = await Promise.all(
    blobs.map(async ({ digest }) => {
      const blob = await fetch(`http://${host}/v2/${repository}/blobs/${digest}`, { method: 'HEAD' })
      return `${digest}: ${blob.status}`
    }),
  )
  const children = await Promise.all(
    manifests.map(async ({ digest }) => await contentOf(host, repository, digest)),
  )
  return [`${response.headers.get('content-type')} ${text}`, ...found, ...children.flat()]
}

/** A definition is served a moment after it was accepted. */
const applySoon = async (apply: (object: KubernetesObject) => Promise<void>, object: KubernetesObject) => {
  for (let attempt = 0; ; attempt++)
    try {
      return await apply(object)
    } catch (error) {
      if (attempt === 99) throw error
      await sleep(100)
    }
}

const keyOf = ({ host, repository, tag }: SourceImage): string => `${host}/${repository}:${tag}`

const isEqual = (one: readonly string[], other: readonly string[]): boolean =>
  JSON.stringify(one) === JSON.stringify(other)

/** Every so many images are copied by skopeo, too, which takes half a second each. MIRROR_ORACLE=1 compares them all. */
const oracleEvery = Number(process.env['MIRROR_ORACLE'] ?? 12)

const skip = missing('skopeo', 'docker-registry') || missingApiServer()

await test('a configuration like the one in production', { skip, timeout: 280_000 }, async (suite) => {
  const folder = suite.testdir({})
  const names = ['quay', 'appci', 'elsewhere', 'oracle'] as const
  const storages = Object.fromEntries(
    names.map((name) => [name, new RegistryStorage(join(folder, name, 'storage'))]),
  )
  const nameOf = (host: string): string =>
    ({ 'quay.io': 'quay', 'quay-proxy.ci.openshift.org': 'quay', 'registry.ci.openshift.org': 'appci' })[
      host
    ] ?? 'elsewhere'

  const production = productionMirror()
  const digests = new Map<string, string>()
  for (const [index, source] of production.sources.entries()) {
    const storage = storages[nameOf(source.host)] as RegistryStorage
    digests.set(keyOf(source), await storeImage(storage, source, index % 200 === 7 ? 9_000_000 : 500))
  }
  const digestOf = (source: SourceImage): string => digests.get(keyOf(source)) ?? ''
  const yaml = production.yaml(digestOf)

  const hosts = new Map<string, string>()
  for (const name of names) hosts.set(name, await startRegistry(suite, join(folder, name)))
  const hostOf = (registry: string): string => hosts.get(nameOf(registry)) as string
  const oracle = hosts.get('oracle') as string
  const api = await startApiServer([])
  suite.teardown(api.close)
  await api.apply(definition)
  const namespaces = new Set(production.streams.map(({ namespace }) => namespace))
  for (const name of namespaces) await api.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } })
  for (const { namespace, name, tags } of production.streams) {
    const images = tags.map((tag) => {
      const image = digests.get(`registry.ci.openshift.org/${namespace}/${name}:${tag}`)
      return { tag, items: [{ image }, { image: `sha256:${'0'.repeat(64)}` }] }
    })
    await applySoon(api.apply, {
      apiVersion: 'image.openshift.io/v1',
      kind: 'ImageStream',
      metadata: { namespace, name },
      status: { tags: images },
    })
  }

  const registries = new Registries({
    permit: { isHeld: () => true },
    credentialOf: () => undefined,
    originOf: (host) => new URL(`http://${hostOf(host)}`),
    rate: { perSecond: 5000, burst: 500 },
  })
  suite.teardown(async () => await registries.close())
  const events: MirrorEvent[] = []
  const mirror = new Mirror({
    registries,
    qci: { registry: 'quay.io', repository: 'openshift/ci' },
    observe: (event) => events.push(event),
    maxConcurrent: 16,
    maxPerHost: 16,
  })
  const { config, problems } = parseMirrorConfig(yaml)
  const streams = await readStreams(api.admin, selectorsOf(config), new AbortController().signal)
  const desired = allDesiredImages(config, streams)
  const images = desired.images
  const targetOf = ({ destination, float }: DesiredImage) => ({
    host: hostOf(destination?.registry ?? 'quay.io'),
    repository: destination?.repository ?? 'openshift/ci',
    tag: float,
  })

  await suite.test('the configuration is valid, and has the size of the real one', async (t) => {
    t.strictSame(problems, [])
    t.strictSame(
      validate(yaml).problems.filter(({ severity }) => severity === 'error'),
      [],
    )
    const intoQci = images.filter(({ destination }) => destination === undefined).length
    const { counts } = production
    t.strictSame({ intoQci, ontoAppCi: images.length - intoQci, leftOut: desired.leftOut.length }, counts)
    t.ok(images.length >= 580, `${images.length} images`)
  })

  const forms = new Map(production.sources.map((source) => [keyOf(source), source.form]))
  /** A copy by skopeo, in a repository of its own. */
  const copyBySkopeo = async (from: string, to: string): Promise<void> => {
    const flags =
      '--insecure-policy copy --quiet --all --preserve-digests --src-tls-verify=false --dest-tls-verify=false'
    const { code, output } = await run('skopeo', [
      ...flags.split(' '),
      `docker://${from}`,
      `docker://${oracle}/${to}`,
    ])
    if (code !== 0) throw new Error(output)
  }

  await suite.test('a first pass brings everything, as skopeo does, byte for byte', async (t) => {
    const began = performance.now()
    await mirror.pass(desired)
    await mirror.queue.idle()
    t.comment(`${images.length} images in ${Math.round((performance.now() - began) / 1000)} s`)
    const failed = events.filter((event) => event.what === 'failed')
    t.strictSame(failed, [])
    t.equal(events.length, images.length)
    const different: string[] = []
    let compared = 0
    await inParallel([...images.entries()], 3, async ([index, image]) => {
      const { registry, repository, tag, digest } = image.source
      const target = targetOf(image)
      const [host, version] = [hostOf(registry), `${digest ?? tag}`]
      const ours = await contentOf(target.host, target.repository, target.tag)
      const isMissing = ours.some((line) => line.endsWith(': 404'))
      if (isMissing || !isEqual(ours, await contentOf(host, repository, version)))
        different.push(image.target)
      // skopeo takes no index of indexes.
      const isNested = forms.get(`${registry}/${repository}:${tag}`) === 'nested index'
      if (isNested || index % oracleEvery !== 0) return
      const separator = digest === undefined ? ':' : '@'
      await copyBySkopeo(`${host}/${repository}${separator}${version}`, `copy-${index}:v1`)
      if (!isEqual(ours, await contentOf(oracle, `copy-${index}`, 'v1')))
        different.push(`${image.target} of skopeo`)
      compared += 1
    })
    t.comment(`${compared} of ${images.length} images also compared with copies by skopeo`)
    t.strictSame(different, [])
  })

  await suite.test('a second pass writes nothing, and costs two requests an image at most', async (t) => {
    events.length = 0
    const { counts, stop } = countRequests([...hosts.values()])
    const findings = await mirror.pass(desired)
    await mirror.queue.idle()
    stop()
    t.ok(findings.every(({ state }) => state === 'same'))
    t.strictSame(events, [])
    t.strictSame([...counts.keys()], ['HEAD'])
    const requests = counts.get('HEAD') ?? 0
    t.ok(requests <= 2 * images.length, `${requests} requests for ${images.length} images`)
    t.comment(`${requests} requests for ${images.length} images`)
  })
})
