/**
 * The whole system on one machine, to try it and for tests: an embedded app.ci, an embedded quay, and the real proxy in front, with its
 * real flags.
 */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Environment } from '../config/command-line.ts'
import { parseConfig } from '../config/config.ts'
import type { Logger } from '../telemetry/logging.ts'
import { startProxy, type Proxy } from '../proxy/start.ts'
import { openshiftRoles } from './app-ci/openshift-roles.ts'
import { seedQuay, type SeededImages } from './quay/content.ts'
import { stockFamilies, type Families } from './quay/families.ts'
import { startKubernetesApi, type KubernetesApi } from './app-ci/kubernetes-api.ts'
import { startSandboxMirror, type SandboxMirror } from './mirror/mirror.ts'
import { startQuay, type Quay } from './quay/quay.ts'
import { loadManifests, type KubernetesObject } from './app-ci/kubernetes-object.ts'

export interface SandboxOptions {
  readonly logger: Logger
  /** Directories of RBAC manifests for app.ci, in addition to the roles of every OpenShift. The last object of a name counts. */
  readonly rbac: readonly string[]
  /** Whether quay also holds every family of tags that QCI has. Default: false. */
  readonly families?: boolean
  /** Whether a mirror brings an image into quay, and the proxy shows its queue. Default: false. */
  readonly mirror?: boolean
  /** Where the proxy listens; 0 for any free port. */
  readonly port: number
  /** Further flags of the proxy. */
  readonly flags?: readonly string[]
  /** Of the proxy. Default: none. */
  readonly environment?: Environment
  /** Milliseconds. Default: 10 s. */
  readonly readyTimeoutMs?: number
  /** Ends the start between two steps. */
  readonly signal?: AbortSignal
}

export interface Sandbox {
  readonly url: string
  readonly metricsUrl: string
  readonly kubernetes: KubernetesApi
  readonly quay: Quay
  readonly stock: SeededImages
  readonly families: Families | undefined
  readonly mirror: SandboxMirror | undefined
  /** The objects of each directory of RBAC. */
  readonly objects: readonly (readonly KubernetesObject[])[]
  /** The objects of them that app.ci does not have, and why. */
  readonly skipped: readonly string[]
  readonly proxy: Proxy
  readonly robot: { readonly username: string; readonly password: string }
  /** The files that the proxy reads its secrets from. */
  readonly files: { readonly password: string; readonly tokenSecret: string }
  readonly close: () => Promise<void>
}

/** @throws {Error} if a directory cannot be read, the port is taken, or `signal` ended the start; nothing is left behind then */
export const startSandbox = async (options: SandboxOptions): Promise<Sandbox> => {
  const { logger, rbac, port, flags = [], environment = {}, readyTimeoutMs = 10_000 } = options
  const { signal = new AbortController().signal } = options
  // Ends everything that has started, if a later step fails. The order is reversed: the proxy ends before the servers that it calls.
  await using started = new AsyncDisposableStack()
  const loaded = await Promise.all(rbac.map(loadManifests))
  const objects = loaded.map((one) => one.objects)
  const kubernetes = await startKubernetesApi({ objects: [...openshiftRoles, ...objects.flat()] })
  started.defer(async () => await kubernetes.close())
  const robot = { username: 'openshift+ci_readonly', password: randomBytes(32).toString('hex') }
  const pusher = options.mirror === true ? newPusher() : undefined
  const quay = await startQuay({ robot, pusher })
  started.defer(async () => await quay.close())
  const stock = await seedQuay(quay)
  const families = options.families === true ? await stockFamilies(quay) : undefined
  signal.throwIfAborted()
  const directory = await mkdtemp(join(tmpdir(), 'quay-proxy-sandbox-'))
  started.defer(async () => await rm(directory, { recursive: true, force: true }))
  const files = await writeSecrets(directory, robot, kubernetes.kubeconfig())
  const mirror = pusher && (await startSandboxMirror({ logger, qci: quay, pusher, directory }))
  started.defer(async () => await mirror?.close())
  const ownFlags = mirror === undefined ? flags : [`--mirror-url=${mirror.url}`, ...flags]
  const args = proxyArguments(port === 0 ? await freePort() : port, quay, files, ownFlags)
  signal.throwIfAborted()
  const proxy = await startProxy(parseConfig(args, environment), logger).catch(namePortFlag)
  started.defer(proxy.stop)
  await untilReady(proxy.url, readyTimeoutMs, signal)
  const running = started.move()
  return {
    url: proxy.url,
    metricsUrl: String(proxy.metricsUrl),
    kubernetes,
    quay,
    stock,
    families,
    mirror,
    objects,
    skipped: [...loaded.flatMap((one) => one.skipped), ...kubernetes.skipped],
    proxy,
    robot,
    files,
    close: async () => await running.disposeAsync(),
  }
}

/** The robot of the mirror. */
const newPusher = () => ({
  username: 'openshift+ci_mirror',
  password: randomBytes(32).toString('hex'),
  mayPush: true,
})

const proxyArguments = (
  port: number,
  quay: Quay,
  files: Awaited<ReturnType<typeof writeSecrets>>,
  flags: readonly string[],
): readonly string[] => [
  `--listen-addr=127.0.0.1:${port}`,
  `--exposed-url=http://127.0.0.1:${port}`,
  '--metrics-addr=127.0.0.1:0',
  `--upstream=${quay.url}`,
  `--upstream-repository=${quay.repository}`,
  `--robot-username-file=${files.username}`,
  `--robot-password-file=${files.password}`,
  `--token-secret-file=${files.tokenSecret}`,
  `--kubeconfig=${files.kubeconfig}`,
  ...defaults.filter((fallback) => !flags.some((flag) => nameOf(flag) === nameOf(fallback))),
  ...flags,
]

/** Values for one machine, without a load balancer and without the rate limits of quay.io. */
const defaults = ['--grace-period=1s', '--upstream-limits=none']

const nameOf = (flag: string): string | undefined => flag.split('=')[0]

/** The sandbox has a `--port` and no `--listen-addr`. */
const namePortFlag = (error: Error): never => {
  const message = error.message.replace(/^--listen-addr: (.*)$/, '$1: choose another with --port')
  throw new Error(message, { cause: error })
}

const writeSecrets = async (directory: string, robot: Sandbox['robot'], kubeconfig: string) => {
  const secrets = {
    username: robot.username,
    password: robot.password,
    tokenSecret: randomBytes(32).toString('hex'),
    kubeconfig,
  }
  const files = { username: '', password: '', tokenSecret: '', kubeconfig: '' }
  for (const name of Object.keys(files) as (keyof typeof files)[]) {
    files[name] = join(directory, name)
    await writeFile(files[name], secrets[name], { mode: 0o600 })
  }
  return files
}

/** The realm has to name the port before the proxy listens on it. */
const freePort = async (): Promise<number> =>
  await new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })

const untilReady = async (url: string, timeoutMs: number, signal: AbortSignal): Promise<void> => {
  const deadline = performance.now() + timeoutMs
  while (performance.now() < deadline) {
    signal.throwIfAborted()
    const { status } = await fetch(`${url}/readyz`)
    if (status === 200) return
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error(
    'the proxy did not become ready: the RBAC has to let it create TokenReviews and SubjectAccessReviews, as manifests/rbac does',
  )
}
