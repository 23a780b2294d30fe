import t from 'tap'
import { parseMirrorArguments, type ArgumentsError } from '../../src/mirror/arguments.ts'
import { thrown } from '../support/thrown.ts'

await t.test('the flags of the check', async (t) => {
  t.strictSame(
    parseMirrorArguments([
      '--validate-config-only',
      '-config',
      'a.yaml',
      '--base=b.yaml',
      '--release-repo-git-sync-path=/release',
      '--format=json',
    ]),
    {
      command: 'validate',
      config: 'a.yaml',
      base: 'b.yaml',
      releaseRepository: '/release',
      registryConfig: undefined,
      format: 'json',
      notices: [],
    },
  )
  t.match(parseMirrorArguments([]), { command: undefined, config: undefined, format: 'plain' })
  t.equal(parseMirrorArguments(['--validate-config-only=false']).command, undefined)
})

await t.test('the arguments of the former deployment are accepted', async (t) => {
  const { notices } = parseMirrorArguments([
    '--leader-election-namespace=ci',
    '--release-repo-git-sync-path=/var/repo/release',
    '--registry-config=/etc/push/.dockerconfigjson',
    '--config=/var/repo/release/core-services/image-mirroring/_config.yaml',
    '-dry-run=true',
    '--quayIOCIImagesDistributorOptions.additional-image-stream-tag=a/b:c',
    '--quayIOCIImagesDistributorOptions.additional-image-stream-tag=a/b:d',
    '--only-valid-manifest-v2-images',
  ])
  t.equal(notices.length, 4)
  t.match(notices, ['--leader-election-namespace has no effect: nothing is written'])
})

await t.test('the plan', async (t) => {
  t.match(parseMirrorArguments(['plan', '--config=a', '--registry-config=b']), {
    command: 'plan',
    config: 'a',
    registryConfig: 'b',
  })
})

await t.test('mistakes are told all at once', async (t) => {
  const error = thrown(() =>
    parseMirrorArguments(['x', '--nonsense', '--format=xml', '--dry-run=perhaps', '--config']),
  ) as ArgumentsError
  t.strictSame(error.problems, [
    '"x" is not a flag; flags begin with --',
    '--nonsense is not a flag; --help lists them',
    '--dry-run=perhaps is not valid: expected true or false',
    '--config needs a value',
    '--format=xml is not valid: expected plain, json, github',
  ])
})
