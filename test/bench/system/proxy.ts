/** The proxy as it runs in production: `quay-proxy serve` in a process of its own, with flags and files. */
import { randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { answers, freePort } from '../../e2e/process.ts'
import type { AppCi } from './app-ci.ts'
import { repository } from './origin.ts'
import { runTool, start, type Running } from './processes.ts'

export interface Proxy extends Running {
  readonly url: string
  readonly metricsUrl: string
}

export interface ProxyOptions {
  /** Its program. */
  readonly main: string
  readonly directory: string
  /** Distinguishes two proxies in one directory. */
  readonly name?: string
  readonly appCi: AppCi
  readonly upstream: string
  /** PEM file, for an upstream on https. */
  readonly ca?: string
  /** PEM files: it serves https with them. The certificate is its own authority. */
  readonly tls?: { readonly certificate: string; readonly key: string }
  readonly flags?: readonly string[]
  /** With `quay`, it keeps to quay.io's limits, for an upstream that has them. Without it, there is no limit. */
  readonly limits?: 'quay'
  /** Milliseconds until it must be ready. */
  readonly maxWaitMs?: number
  /** Options of Node itself. */
  readonly nodeOptions?: readonly string[]
}

export const robot = { username: 'openshift+ci_readonly', password: randomBytes(32).toString('hex') }

export const startProxy = async (options: ProxyOptions): Promise<Proxy> => {
  const { main, directory, name = 'proxy', appCi, upstream, ca, tls, flags = [], nodeOptions = [] } = options
  const files = await writeFiles(join(directory, name), {
    username: robot.username,
    password: robot.password,
    secret: randomBytes(32).toString('hex'),
    kubeconfig: appCi.api.kubeconfig(),
  })
  const [listen, metrics] = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`]
  const url = `${tls === undefined ? 'http' : 'https'}://${listen}`
  const args = [
    ...nodeOptions,
    main,
    'serve',
    `--listen-addr=${listen}`,
    `--exposed-url=${url}`,
    `--metrics-addr=${metrics}`,
    `--upstream=${upstream}`,
    `--upstream-repository=${repository}`,
    `--robot-username-file=${files.username}`,
    `--robot-password-file=${files.password}`,
    `--token-secret-file=${files.secret}`,
    `--kubeconfig=${files.kubeconfig}`,
    ...(ca === undefined ? [] : [`--upstream-ca-file=${ca}`]),
    ...(tls === undefined ? [] : [`--tls-cert-file=${tls.certificate}`, `--tls-key-file=${tls.key}`]),
    // Clients that still read at the end of a measurement are cut.
    '--grace-period=1s',
    ...(options.limits === 'quay' ? ['--upstream-limits=quay'] : await unlimited(main)),
    ...flags,
  ]
  const ready = async () =>
    tls === undefined
      ? await answers(`${url}/readyz`, 200)
      : await answersOverTls(`${url}/readyz`, tls.certificate)
  const { maxWaitMs } = options
  const patience = maxWaitMs === undefined ? {} : { maxWaitMs }
  const running = await start(process.execPath, args, { directory, name, ready, ...patience })
  return { ...running, url, metricsUrl: `http://${metrics}/metrics` }
}

const answersOverTls = async (url: string, ca: string): Promise<boolean> => {
  await runTool('curl', ['--silent', '--fail', '--cacert', ca, url])
  return true
}

/**
 * The upstreams here have no limits, and the proxy is measured without the rate limits of quay.io. A proxy of an older checkout has no
 * such flag, and no such limits.
 */
const unlimited = async (main: string): Promise<readonly string[]> => {
  const { stdout } = await runTool(process.execPath, [main, 'serve', '--help'])
  return stdout.includes('--upstream-limits') ? ['--upstream-limits=none'] : []
}

const writeFiles = async <Name extends string>(
  directory: string,
  contents: Readonly<Record<Name, string>>,
): Promise<Record<Name, string>> => {
  await mkdir(directory)
  const files: Partial<Record<Name, string>> = {}
  for (const [name, content] of Object.entries(contents) as [Name, string][]) {
    files[name] = join(directory, name)
    await writeFile(files[name], content, { mode: 0o600 })
  }
  return files as Record<Name, string>
}
