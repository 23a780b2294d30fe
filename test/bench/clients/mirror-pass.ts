/** One pass of the mirror, as a process of its own: `node mirror-pass.ts INPUT`, a file with JSON. */
import { readFileSync } from 'node:fs'
import { parseMirrorConfig } from '../../../src/mirror/config/parse.ts'
import { Mirror } from '../../../src/mirror/mirror.ts'
import { desiredImages } from '../../../src/mirror/plan/desired.ts'
import { Registries } from '../../../src/mirror/registry/registries.ts'

export interface MirrorPassInput {
  /** The configuration. */
  readonly yaml: string
  /** Origin by registry. */
  readonly origins: Readonly<Record<string, string>>
  /** Of QCI. */
  readonly repository: string
}

const { yaml, origins, repository } = JSON.parse(
  readFileSync(process.argv[2] ?? '', 'utf8'),
) as MirrorPassInput
const registries = new Registries({
  permit: { isHeld: () => true },
  credentialOf: () => undefined,
  originOf: (host) => new URL(origins[host] ?? ''),
  rate: { perSecond: 100_000, burst: 1000 },
})
const failures: string[] = []
const mirror = new Mirror({
  registries,
  qci: { registry: 'quay.io', repository },
  observe: (event) => event.what === 'failed' && failures.push(event.status.lastError ?? ''),
})
await mirror.pass(desiredImages(parseMirrorConfig(yaml).config))
await mirror.queue.idle()
await registries.close()
if (failures.length > 0) throw new Error(failures.join('\n'))
