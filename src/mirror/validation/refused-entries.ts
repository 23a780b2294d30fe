/**
 * Entries that are never copied. Wrong entries can get into the configuration, because people can override the check of pull requests.
 */
import type { MirrorConfig } from '../config/mirror-config.ts'
import { checkCircles } from './circles.ts'
import { checkTargets } from './targets.ts'

/**
 * Copies in circles, and targets that would be written somewhere else, or that no copy could keep. Attack: `ocp/ubi:9?x` would be a request
 * for the tag of `ocp/ubi:9`.
 * @returns the reasons by `subject` of the entry: sentences without their full stops
 */
export const refusedEntries = (config: MirrorConfig): ReadonlyMap<string, string> =>
  new Map(
    [...checkCircles(config), ...checkTargets(config)]
      .filter(({ severity }) => severity === 'error')
      .map(({ subject, message }) => [subject, message]),
  )
