/**
 * A further proxy of a stack, over TLS, on a port that stays the same over its restarts.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { selfSigned } from '../support/tls.ts'
import { answers, freePort, startService, type Service } from './process.ts'
import { root, type Workplace } from './stack.ts'

export type TlsProxy = {
  /** localhost:port, the name of its certificate */
  host: string
  metrics: () => Promise<string>
  readiness: () => Promise<string>
  /** Resolves when it is ready. */
  start: (...more: string[]) => Promise<void>
  /** @returns its exit code */
  stop: () => Promise<number | null>
  /** The output of all its lives. */
  output: () => string
}

/** @param file the path of a file of the stack, which all proxies of it have */
export const certificateIn = async ({ directory }: Pick<Workplace, 'directory'>) => {
  const { cert, key } = selfSigned()
  const [certificate, privateKey] = [join(directory, 'tls.crt'), join(directory, 'tls.key')]
  await writeFile(certificate, cert)
  await writeFile(privateKey, key, { mode: 0o600 })
  return { certificate, privateKey }
}

/** Not started yet. */
export const tlsProxy = async (stack: Workplace, flags: readonly string[]): Promise<TlsProxy> => {
  const { certificate, privateKey } = await certificateIn(stack)
  const file = (name: string) => join(stack.directory, name)
  const [port, metricsPort] = [await freePort(), await freePort()]
  const host = `localhost:${port}`
  const metricsUrl = `http://127.0.0.1:${metricsPort}`
  const lives: Service[] = []
  const args = [
    join(root, 'bin/quay-proxy.js'),
    'serve',
    `--listen-addr=127.0.0.1:${port}`,
    `--exposed-host=${host}`,
    `--metrics-addr=127.0.0.1:${metricsPort}`,
    `--tls-cert-file=${certificate}`,
    `--tls-key-file=${privateKey}`,
    `--robot-username-file=${file('robot-username')}`,
    `--robot-password-file=${file('robot-password')}`,
    `--token-secret-file=${file('token-secret')}`,
    '--upstream-limits=none',
    '--grace-period=2s',
    ...flags,
  ]
  const get = async (path: string) => await (await fetch(metricsUrl + path)).text()
  const stop = async () => (await lives.at(-1)?.stop()) ?? null
  stack.defer(stop)
  return {
    host,
    metrics: () => get('/metrics'),
    readiness: () => get('/readyz?verbose'),
    start: async (...more) => {
      const ready = () => answers(`${metricsUrl}/readyz`, 200)
      const options = { cwd: stack.directory }
      lives.push(await startService(process.execPath, [...args, ...more], ready, options))
    },
    stop,
    output: () => lives.map((life) => life.output()).join(''),
  }
}
