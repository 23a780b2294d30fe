/** The proxy as a process of its own that watches the ImageStreams of a real API server. */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { answers, freePort, startService, type Service } from './process.ts'
import { root } from './stack.ts'

export interface WatchingProxyOptions {
  readonly kubeconfig: string
  readonly upstream: { readonly url: string; readonly repository: string }
  readonly robot: { readonly username: string; readonly password: string }
  readonly gracePeriod: string
  /** It has started when this answers 200. */
  readonly probe: '/healthz' | '/readyz'
  /** Milliseconds to wait for it. */
  readonly patience?: number
}

/** Ends with the test. */
export const startWatchingProxy = async (
  t: Test,
  { kubeconfig, upstream, robot, gracePeriod, probe, ...patience }: WatchingProxyOptions,
): Promise<{ readonly url: string; readonly service: Service }> => {
  const directory = await mkdtemp(join(tmpdir(), 'qp-watching-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  const secrets = { ...robot, 'token-secret': randomBytes(32).toString('hex'), kubeconfig }
  for (const [name, secret] of Object.entries(secrets))
    await writeFile(join(directory, name), secret, { mode: 0o600 })
  const host = `127.0.0.1:${await freePort()}`
  const url = `http://${host}`
  const args = [
    `--listen-addr=${host}`,
    `--exposed-url=${url}`,
    `--upstream=${upstream.url}`,
    `--upstream-repository=${upstream.repository}`,
    '--robot-username-file=username',
    '--robot-password-file=password',
    '--token-secret-file=token-secret',
    '--kubeconfig=kubeconfig',
    '--imagestreams=watch',
    `--grace-period=${gracePeriod}`,
  ]
  const service = await startService(
    process.execPath,
    [join(root, 'bin/quay-proxy.js'), 'serve', ...args],
    () => answers(`${url}${probe}`, 200),
    { cwd: directory, ...patience },
  )
  t.teardown(service.stop)
  return { url, service }
}
