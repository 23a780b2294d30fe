/**
 * `ci-images-mirror plan`: prints the differences as a table. It writes nothing to a registry.
 */
import type { MirrorArguments } from '../arguments.ts'
import type { MirrorIo } from '../io.ts'
import { formatPlan } from '../plan/table.ts'
import { openMirror, readDesired } from './local-mirror.ts'
import { readConfig } from './read-files.ts'

/** Images between two lines of progress. */
const progressEvery = 100

/** @returns the exit code */
export const plan = async (args: MirrorArguments, io: MirrorIo): Promise<number> => {
  const config = readConfig(args)
  const { mirror, close } = openMirror(args, io)
  try {
    const desired = await readDesired(args, config)
    let compared = 0
    const found = (): void => {
      compared += 1
      if (compared % progressEvery === 0)
        io.printError(`${compared} of ${desired.images.length} images compared`)
    }
    const findings = await mirror.compare(desired, { found })
    io.print(formatPlan(findings, desired.leftOut))
    return findings.some(({ state }) => state === 'missing' || state === 'unreadable') ? 1 : 0
  } finally {
    await close()
  }
}
