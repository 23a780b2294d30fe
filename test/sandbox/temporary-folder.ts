/** A folder for temporary files that nothing else uses: what a sandbox leaves behind is seen there. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'

export const temporaryFolder = (test: Test) => {
  const folder = mkdtempSync(join(tmpdir(), 'quay-proxy-test-'))
  test.teardown(() => rmSync(folder, { recursive: true }))
  return { folder, leftBehind: (): readonly string[] => readdirSync(folder) }
}

/** Until the end of the test, `tmpdir()` of this process is such a folder. */
export const ownTemporaryFolder = (test: Test) => {
  const { leftBehind, folder } = temporaryFolder(test)
  const usual = process.env['TMPDIR']
  process.env['TMPDIR'] = folder
  test.teardown(() => {
    if (usual === undefined) delete process.env['TMPDIR']
    else process.env['TMPDIR'] = usual
  })
  return leftBehind
}
