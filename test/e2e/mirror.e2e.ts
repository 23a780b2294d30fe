import { randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type Test } from 'tap'
import { parseMirrorConfig } from '../../src/mirror/config/parse.ts'
import type { MirrorEvent } from '../../src/mirror/mirror-options.ts'
import { Mirror } from '../../src/mirror/mirror.ts'
import { desiredImages } from '../../src/mirror/plan/desired.ts'
import { uploadBlob } from '../../src/mirror/registry/blob-target.ts'
import { Registries } from '../../src/mirror/registry/registries.ts'
import { Repository } from '../../src/mirror/registry/repository.ts'
import { sha256Of } from '../../src/mirror/registry/verified.ts'
import { answers, freePort, missing, plainEnv, run, startService } from './process.ts'

const ociIndex = 'application/vnd.oci.image.index.v1+json'
const ociManifest = 'application/vnd.oci.image.manifest.v1+json'
const layerType = 'application/vnd.oci.image.layer.v1.tar+gzip'

/** Debian's docker-registry without a login. @returns its host */
const startPlainRegistry = async (suite: Test, directory: string): Promise<string> => {
  const host = `127.0.0.1:${await freePort()}`
  const file = join(directory, 'registry.yml')
  const storage = join(directory, 'storage')
  await mkdir(storage, { recursive: true })
  // JSON is YAML.
  const configuration = {
    version: '0.1',
    log: { level: 'error' },
    storage: { filesystem: { rootdirectory: storage } },
    http: { addr: host },
  }
  await writeFile(file, JSON.stringify(configuration))
  const env = plainEnv({ OTEL_TRACES_EXPORTER: 'none' })
  const service = await startService(
    'docker-registry',
    ['serve', file],
    () => answers(`http://${host}/v2/`, 200),
    {
      env,
    },
  )
  suite.teardown(service.stop)
  return host
}

const blob = async (repository: Repository, bytes: Buffer, mediaType: string) => {
  const digest = sha256Of(bytes)
  const once = (async function* () {
    yield bytes
  })()
  await uploadBlob(repository, { digest, size: bytes.length, bytes: once })
  return { mediaType, digest, size: bytes.length }
}

const manifest = async (repository: Repository, content: object, mediaType: string, tag?: string) => {
  // With unusual spaces: if JSON were written again, its digest would differ.
  const bytes = Buffer.from(`${JSON.stringify({ schemaVersion: 2, mediaType, ...content }, null, 3)}\n`)
  const digest = sha256Of(bytes)
  await repository.putManifest(tag ?? digest, { bytes, mediaType, digest })
  return { mediaType, digest, size: bytes.length }
}

const image = async (repository: Repository, layerBytes: number, tag?: string) =>
  await manifest(
    repository,
    {
      config: await blob(
        repository,
        Buffer.from(
          JSON.stringify({ architecture: 'amd64', os: 'linux', n: randomBytes(8).toString('hex') }),
        ),
        'application/vnd.oci.image.config.v1+json',
      ),
      layers: [await blob(repository, randomBytes(layerBytes), layerType)],
    },
    ociManifest,
    tag,
  )

const list = async (repository: Repository, tag: string) => {
  const manifests = [await image(repository, 1000), await image(repository, 2000)]
  const platforms = [
    { architecture: 'amd64', os: 'linux' },
    { architecture: 'arm64', os: 'linux' },
  ]
  const described = manifests.map((child, index) => ({ ...child, platform: platforms[index] }))
  return await manifest(repository, { manifests: described }, ociIndex, tag)
}

const skip = missing('skopeo', 'docker-registry')

await test('mirror', { skip, timeout: 240_000 }, async (suite) => {
  const folder = suite.testdir({ qci: {}, elsewhere: {}, oracle: {} })
  const start = async (name: string) => await startPlainRegistry(suite, join(folder, name))
  const [qci, elsewhere, oracle] = [await start('qci'), await start('elsewhere'), await start('oracle')]
  // quay.io has other repositories next to QCI, too.
  const hosts: Readonly<Record<string, string>> = { 'quay.io': qci, 'registry.access.redhat.com': elsewhere }
  const registries = new Registries({
    permit: { isHeld: () => true },
    credentialOf: () => undefined,
    originOf: (host) => new URL(`http://${hosts[host]}`),
    rate: { perSecond: 2000, burst: 200 },
  })
  suite.teardown(async () => await registries.close())
  const repositoryOf = (host: string, name: string) =>
    new Repository({ client: registries.of(host), name, mayPush: true, image: name })

  const sources = new Map<string, string>()
  for (let index = 0; index < 24; index++) {
    const host = index % 3 === 0 ? 'registry.access.redhat.com' : 'quay.io'
    const repository = repositoryOf(host, `team-${index % 5}/image-${index}`)
    if (index % 2 === 0) await image(repository, index === 6 ? 20_000_000 : 5000, 'v1')
    else await list(repository, 'v1')
    sources.set(`ci/image-${index}:v1`, `${host}/team-${index % 5}/image-${index}:v1`)
  }
  const text = [...sources].map(([target, source]) => `  ${target}:\n    image: ${source}\n`).join('')
  const { config, problems } = parseMirrorConfig(`supplementalCIImages:\n${text}`)
  const desired = desiredImages(config)
  const events: MirrorEvent[] = []
  const mirror = new Mirror({
    registries,
    qci: { registry: 'quay.io', repository: 'openshift/ci' },
    observe: (event) => events.push(event),
  })
  const skopeo = async (...args: readonly string[]) => await run('skopeo', ['--insecure-policy', ...args])
  const raw = async (host: string, reference: string): Promise<string> => {
    const name = `docker://${host}/openshift/ci${reference}`
    const { code, stdout, output } = await skopeo('inspect', '--raw', '--tls-verify=false', name)
    if (code !== 0) throw new Error(output)
    return stdout
  }

  await suite.test('a first pass copies everything, as skopeo does', async (t) => {
    t.same(problems, [])
    await mirror.pass(desired)
    await mirror.queue.idle()
    t.same(
      events.filter(({ what }) => what === 'failed'),
      [],
    )
    t.equal(events.length, sources.size)
    const mounted = events.map((event) => (event.what === 'copied' ? event.result.blobs.mounted : 0))
    t.ok(
      mounted.some((count) => count > 0),
      'neighbours move no bytes',
    )
    for (const { float, source } of desired.images) {
      const from = `docker://${hosts[source.registry]}/${source.repository}:${source.tag}`
      const insecure = ['--src-tls-verify=false', '--dest-tls-verify=false']
      const to = `docker://${oracle}/openshift/ci:${float}`
      const copied = await skopeo('copy', '--all', '--preserve-digests', ...insecure, from, to)
      t.equal(copied.code, 0, copied.output)
      const [ours, theirs] = [await raw(qci, `:${float}`), await raw(oracle, `:${float}`)]
      t.equal(ours, theirs, `${float}, byte for byte`)
      const { manifests = [] } = JSON.parse(ours) as { manifests?: readonly { digest: string }[] }
      for (const { digest } of manifests)
        t.equal(await raw(qci, `@${digest}`), await raw(oracle, `@${digest}`))
    }
  })

  await suite.test('a copied image can be pulled, with every digest checked', async (t) => {
    for (const { float } of desired.images.slice(0, 8)) {
      const pulled = await skopeo(
        'copy',
        '--all',
        '--src-tls-verify=false',
        `docker://${qci}/openshift/ci:${float}`,
        `dir:${join(folder, float)}`,
      )
      t.equal(pulled.code, 0, pulled.output)
    }
  })

  await suite.test('a second pass writes nothing', async (t) => {
    events.length = 0
    const findings = await mirror.pass(desired)
    await mirror.queue.idle()
    t.ok(findings.every(({ state }) => state === 'same'))
    t.same(events, [])
  })

  await suite.test('an image that changes keeps its old digest under a prune tag', async (t) => {
    const float = 'ci_image-1_v1'
    const old = await raw(qci, `:${float}`)
    await list(repositoryOf('quay.io', 'team-1/image-1'), 'v1')
    await mirror.pass(desired)
    await mirror.queue.idle()
    t.not(await raw(qci, `:${float}`), old)
    const { stdout } = await skopeo('list-tags', '--tls-verify=false', `docker://${qci}/openshift/ci`)
    const { Tags } = JSON.parse(stdout) as { Tags: readonly string[] }
    const pruned = Tags.filter((tag) => /^\d{14}_prune___ci_images_mirror__ci_image-1_v1$/.test(tag))
    t.equal(pruned.length, 1)
    t.equal(await raw(qci, `:${pruned[0]}`), old)
  })
})
