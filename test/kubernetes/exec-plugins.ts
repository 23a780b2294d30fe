import { chmodSync, existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { ExecPlugin } from '../../src/kubernetes/exec-plugin.ts'

export const started = Date.parse('2026-11-28T12:00:00Z')

/** An exec plugin whose body is shell code; `here` is its directory. It counts its runs. */
export const createPlugin = (test: Test, body: string, env?: ExecPlugin['env']) => {
  const directory = test.testdir({
    plugin: `#!/bin/sh\nhere="$(dirname "$0")"\necho run >> "$here/runs"\n${body}\n`,
  })
  const command = join(directory, 'plugin')
  chmodSync(command, 0o755)
  const plugin: ExecPlugin = {
    command,
    args: ['one', 'two'],
    apiVersion: 'client.authentication.k8s.io/v1',
    ...(env === undefined ? {} : { env }),
  }
  const runs = () =>
    existsSync(join(directory, 'runs'))
      ? readFileSync(join(directory, 'runs'), 'utf8').split('\n').length - 1
      : 0
  return { directory, plugin, runs }
}

export const status = (fields: object) =>
  `echo '${JSON.stringify({ kind: 'ExecCredential', status: fields })}'`
