/**
 * Attack: JSON of a peer that takes a second to parse, in which nobody is served.
 */
import { globSync, readFileSync } from 'node:fs'
import t from 'tap'

/** Beside src/oci/json-bounds.ts: what they parse is the operator's, or our own, and short. */
const own = [
  'src/audit/audit-line.ts',
  // The input of the credential helper and the payload of its token, of 64 KiB at most.
  'src/credential-helper/kubelet-protocol.ts',
  'src/credential-helper/token.ts',
  'src/mirror/distributor/release-checkout.ts',
  'src/oci/json-bounds.ts',
  // Counts by bounds of its own.
  'src/oci/manifest.ts',
  'src/secrets/docker-config.ts',
  'src/shared-state/failed-login-feed.ts',
  'src/shared-state/index-state-codec.ts',
  'src/storage/directory-lock.ts',
  'src/storage/key-journal.ts',
  // Of the command `cache rm`, in a folder that only this user can write to.
  'src/storage/removals.ts',
  'src/telemetry/logging.ts',
  'src/telemetry/redaction.ts',
]

await t.test('messages of a peer are parsed within limits', async (test) => {
  const files = globSync('src/**/*.ts', { exclude: ['src/sandbox/**'] })
  test.strictSame(files.filter((file) => readFileSync(file, 'utf8').includes('JSON.parse(')).toSorted(), own)
})
