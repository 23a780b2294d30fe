import { writeFileSync } from 'node:fs'
import t from 'tap'
import { parseMirrorArguments } from '../../../src/mirror/arguments.ts'
import {
  configFileOf,
  credentialsOf,
  readConfig,
  readConfigFile,
  readText,
  readTextOrProblem,
} from '../../../src/mirror/commands/read-files.ts'
import { supplemental } from '../validation/entries.ts'

await t.test('files, and the errors of files that cannot be read', async (t) => {
  const folder = t.testdir({
    good: supplemental({ 'a/b:c': 'quay.io/a/b:c' }),
    bad: 'supplementalCIImages: []\n',
  })
  const args = (...words: readonly string[]) => parseMirrorArguments(words)
  t.equal(readConfig(args(`--config=${folder}/good`)).supplemental.length, 1)
  t.throws(
    () => readConfig(args(`--config=${folder}/bad`)),
    /bad:1:23: supplementalCIImages is not a map; write/,
  )
  t.throws(() => readText(`${folder}/none`), /none cannot be read: ENOENT/)
  t.match(readTextOrProblem(folder), { message: 'the path is a directory' })
  t.throws(() => readTextOrProblem(`${folder}/none`), /none cannot be read: ENOENT/)
  t.throws(() => readConfigFile(folder), /:1:1: the path is a directory; name the file/)
  t.throws(() => configFileOf(args()), /give the configuration/)
  writeFileSync(`${folder}/auth`, JSON.stringify({ auths: { 'quay.io': { username: 'a', password: 'b' } } }))
  const quay = new URL('https://quay.io')
  t.equal(credentialsOf(args())(quay, 'openshift/ci'), undefined)
  t.strictSame(credentialsOf(args(`--registry-config=${folder}/auth`))(quay, 'openshift/ci'), {
    username: 'a',
    password: 'b',
  })
})
