/**
 * Another proxy of the same system.
 */
import { dirname, join } from 'node:path'
import { parseConfig } from '../../src/config/config.ts'
import { createLogger } from '../../src/telemetry/logging.ts'
import { startProxy } from '../../src/proxy/start.ts'
import type { Scenario } from './scenario.ts'

/** The flags of another proxy of the same system, on a port of its own. */
export const flagsOf = (s: Scenario): readonly string[] => {
  const file = (name: string) => join(dirname(s.files.password), name)
  return [
    '--listen-addr=127.0.0.1:0',
    `--robot-username-file=${file('username')}`,
    `--robot-password-file=${s.files.password}`,
    `--token-secret-file=${s.files.tokenSecret}`,
    `--kubeconfig=${file('kubeconfig')}`,
    `--upstream=${s.quay.url}`,
    `--upstream-repository=${s.quay.repository}`,
    '--upstream-limits=none',
  ]
}

/** Resolves when the replica listens. It may not be ready yet. */
export const startUnready = async (s: Scenario, flags: readonly string[] = []) => {
  const args = [...flagsOf(s), '--grace-period=0s', ...flags]
  return await startProxy(parseConfig(args, {}), createLogger('silent', { write: () => undefined }))
}

/** Resolves when the replica is ready. */
export const startAnother = async (s: Scenario, flags: readonly string[] = []) => {
  const proxy = await startUnready(s, flags)
  while ((await fetch(`${proxy.url}/readyz`)).status !== 200)
    await new Promise((resolve) => setTimeout(resolve, 10))
  return proxy
}
