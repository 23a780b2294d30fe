/**
 * The real ci-images-mirror of a sandbox: its configuration file, a registry to copy from, and QCI, into which it pushes with a robot of its
 * own. Its lease is in memory, because no other replica is there.
 */
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { systemClock } from '../../concurrency/clock.ts'
import { externalImages } from '../../mirror/plan/desired-source.ts'
import { ConfigFile } from '../../mirror/service/config-file.ts'
import { MirrorService } from '../../mirror/service/service.ts'
import { createStatusServer } from '../../mirror/status/status-server.ts'
import type { Logger } from '../../telemetry/logging.ts'
import { buildImage } from '../quay/images.ts'
import { startQuay, type Quay } from '../quay/quay.ts'
import type { Robot } from '../quay/tokens.ts'
import { memoryLease } from './memory-lease.ts'

export interface SandboxMirror {
  /** The URL of its API. */
  readonly url: string
  /** The registry that it copies from. */
  readonly source: Quay
  /** Resolves when the image has arrived, or cannot arrive. @returns its state: `same` for an image that has arrived */
  readonly arrived: (signal: AbortSignal) => Promise<string>
  readonly close: () => Promise<void>
}

export interface SandboxMirrorOptions {
  readonly logger: Logger
  readonly qci: Quay
  /** The URL of QCI. */
  readonly pusher: Robot
  /** For the configuration file. */
  readonly directory: string
}

/** The image that the mirror copies. */
export const mirroredImage = {
  target: 'ocp/ubi:9',
  repository: 'ocp/ubi',
  tag: '9',
  namespace: 'ocp',
  source: 'registry.access.redhat.com/ubi9/ubi:latest',
} as const

const configuration = `supplementalCIImages:
  ${mirroredImage.target}:
    image: ${mirroredImage.source}
`

/** Loopback needs no rate limit. */
const rate = { perSecond: 1000, burst: 1000 }
const intervalMs = 600_000

export const startSandboxMirror = async (options: SandboxMirrorOptions): Promise<SandboxMirror> => {
  const { logger, qci, pusher, directory } = options
  await using started = new AsyncDisposableStack()
  const reader = { username: 'ubi_reader', password: randomBytes(16).toString('hex') }
  const source = await startQuay({ repository: 'ubi9/ubi', robot: reader })
  started.defer(async () => await source.close())
  source.tag('latest', await sourceImage())
  const path = join(directory, '_config.yaml')
  await writeFile(path, configuration)
  const file = openFile(path, logger, () => service.changed())
  started.defer(() => file.close())
  const service: MirrorService = new MirrorService({
    logger,
    config: () => file.current(),
    isConfigCurrent: file.isCurrent.bind(file),
    source: externalImages,
    qci: { registry: 'quay.io', repository: qci.repository },
    credentialOf: ({ origin }) => (origin === qci.url ? pusher : reader),
    originOf: (host) => new URL(host === 'quay.io' ? qci.url : source.url),
    lease: { store: memoryLease(), identity: 'sandbox' },
    intervalMs,
    clock: systemClock,
    rate,
  })
  started.defer(async () => await service.stop(0))
  const api = createStatusServer(service)
  started.defer(async () => await api.close())
  const url = await api.listen({ host: '127.0.0.1', port: 0 })
  service.start()
  const running = started.move()
  return {
    url,
    source,
    arrived: async (signal) => await untilSettled(service, signal),
    close: async () => await running.disposeAsync(),
  }
}

const openFile = (path: string, logger: Logger, onChange: () => void): ConfigFile =>
  new ConfigFile({
    path,
    onChange,
    onRefused: (problems) => logger.error({ problems }, 'Failed to reload config'),
    onCaution: (problems) => logger.warn({ problems }, 'The configuration has problems'),
  })

let built: ReturnType<typeof buildImage> | undefined

/** Built once: tests start many sandboxes in one process. */
const sourceImage = async () =>
  await (built ??= buildImage({
    name: 'ubi9/ubi:latest',
    platforms: ['linux/amd64', 'linux/arm64'],
    layers: 1,
    layerBytes: 16 * 1024,
    format: 'docker',
  }))

/** States in which a copy goes on by itself. */
const unsettled: ReadonlySet<string> = new Set(['not compared yet', 'waiting', 'copying'])
const lookEveryMs = 10

const untilSettled = async ({ images }: MirrorService, signal: AbortSignal): Promise<string> => {
  for (;;) {
    signal.throwIfAborted()
    const [image] = images()
    if (image !== undefined && !unsettled.has(image.state)) return image.state
    await new Promise((resolve) => setTimeout(resolve, lookEveryMs))
  }
}
