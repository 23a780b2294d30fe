/** A folder with a fake `oc`: a shell script that writes down its arguments, and answers as it is told. */
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { Environment } from '../../src/credential-helper/settings.ts'

export const token = `sha256~${'t'.repeat(43)}`
export const boundToken = `eyJ.${'b'.repeat(40)}.sig`

/** What `oc` does for the arguments that begin so: shell. */
export type Answers = Readonly<Record<string, string>>

export const loggedIn: Answers = {
  'whoami -t': `echo '${token}'`,
  'whoami --show-server': 'echo https://api.ci.example:6443',
  'create token': `echo '${boundToken}'`,
  whoami: 'echo alice',
}
export const unauthorized = 'echo "error: You must be logged in to the server (Unauthorized)" >&2; exit 1'

export interface FakeOc {
  readonly environment: Environment
  /** The arguments of each call, sorted: calls run at once. */
  readonly calls: () => readonly string[]
}

export const fakeOc = (test: Test, answers: Answers): FakeOc => {
  const folder = test.testdir({})
  const cases = Object.entries(answers).map(([args, shell]) => `'${args}'*) ${shell} ;;`)
  const log = join(folder, 'calls')
  const script = ['#!/bin/sh', `echo "$*" >> '${log}'`, 'case "$*" in', ...cases, '*) exit 9 ;;', 'esac']
  writeFileSync(join(folder, 'oc'), `${script.join('\n')}\n`)
  chmodSync(join(folder, 'oc'), 0o755)
  return {
    environment: { PATH: `${folder}:/usr/bin:/bin` },
    calls: () => (existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n').toSorted() : []),
  }
}
