/**
 * The version of the programs: that of package.json, which is part of the image as well.
 */
import { createRequire } from 'node:module'

export const { version } = createRequire(import.meta.url)('../../package.json') as {
  readonly version: string
}

/** How the programs name themselves to the servers that they send requests to. */
export const userAgent = `quay-proxy/${version}`
export const mirrorUserAgent = `ci-images-mirror/${version}`

/** The name of a command that a person runs, so that the log of a server can distinguish it from the proxy. */
export const commandUserAgent = (command: string, program = userAgent): string => `${program} (${command})`
