/** Commands of a test, with a registry to look at. */
import type { Test } from 'tap'
import { parseMirrorArguments, type MirrorArguments } from '../../../src/mirror/arguments.ts'
import type { MirrorIo } from '../../../src/mirror/io.ts'
import { fastClock } from '../registry/clients.ts'
import { startPushableRegistry } from '../../support/pushable-registry.ts'

export const startedCommand = async (test: Test, config: string, ...more: readonly string[]) => {
  const registry = await startPushableRegistry(test)
  const folder = test.testdir({
    config,
    auth: JSON.stringify({ auths: { 'quay.io/openshift/ci': { username: 'a', password: 'b' } } }),
  })
  const output: string[] = []
  const errors: string[] = []
  const io: MirrorIo = {
    originOf: () => registry.origin,
    clock: fastClock,
    print: (text) => output.push(text),
    printError: (text) => errors.push(text),
  }
  const args = (...words: readonly string[]): MirrorArguments =>
    parseMirrorArguments([...words, `--config=${folder}/config`, ...more])
  return { registry, folder, io, output, errors, args }
}
