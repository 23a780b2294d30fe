import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { help, run } from '../../src/mirror/run.ts'

const good = 'supplementalCIImages:\n  a/b:c: {image: quay.io/a/b:c}\n'

const started = (test: Test, args: readonly string[]) => {
  const folder = test.testdir({
    good,
    bad: good.replace('quay.io/', 'docker.io/'),
    release: {
      'ci-operator': {
        config: { 'x.yaml': 'images: [{to: b}]\npromotion:\n  to: [{namespace: a, tag: c}]\n' },
      },
    },
  })
  const output: string[] = []
  const errors: string[] = []
  const code = run(
    args.map((arg) => arg.replace('FOLDER', folder)),
    { print: (text) => output.push(text), printError: (text) => errors.push(text) },
  )
  return { code, output: output.join('\n').replaceAll(folder, 'FOLDER'), errors, folder }
}
const check = '--validate-config-only'

await t.test('exit code 0 for a valid configuration, 1 for any other', async (t) => {
  t.match(started(t, [check, '--config=FOLDER/good']), {
    code: 0,
    output: 'FOLDER/good: valid, 0 errors, 0 warnings',
    errors: [],
  })
  t.match(started(t, [check, '--config=FOLDER/bad']), {
    code: 1,
    output: /^FOLDER\/bad:2:3: error: source image docker\.io\/a\/b:c is from docker\.io/,
  })
  t.equal(started(t, [check, '--config=FOLDER/bad', '--base=FOLDER/bad']).code, 0)
})

await t.test('promoted tags of a checkout', async (t) => {
  const release = '--release-repo-git-sync-path=FOLDER/release'
  t.match(started(t, [check, '--config=FOLDER/good', release]), {
    code: 1,
    output: /would overwrite a promoted tag: x\.yaml promotes it/,
  })
  const { code, errors, folder } = started(t, [check, '--config=FOLDER/good', `${release}-not`])
  t.equal(code, 2)
  t.strictSame(errors, [
    `ci-images-mirror: ${join(folder, 'release-not', 'ci-operator', 'config')} does not exist`,
  ])
})

await t.test('exit code 2 for wrong arguments', async (t) => {
  t.match(started(t, []), { code: 2, errors: [/give --validate-config-only/] })
  t.match(started(t, [check]), { code: 2, errors: [/give the file to check/] })
  t.match(started(t, [check, '--config=FOLDER/nothing']), {
    code: 2,
    errors: [/nothing cannot be read: ENOENT/],
  })
  t.match(started(t, ['--nonsense', 'x']), { code: 2, errors: [/./, /./] })
})

await t.test('a program error is a sentence, too', async (t) => {
  const errors: string[] = []
  const broken = () => {
    throw new Error('the disk is full')
  }
  const folder = t.testdir({ good })
  const code = run([check, `--config=${folder}/good`], {
    print: broken,
    printError: (text) => errors.push(text),
  })
  t.equal(code, 2)
  t.strictSame(errors, ['ci-images-mirror: the disk is full'])
})

await t.test('help and notices', async (t) => {
  t.match(started(t, ['--help']), { code: 0, output: help })
  t.match(started(t, [check, '--config=FOLDER/good', '--port=8090']), {
    code: 0,
    errors: ['ci-images-mirror: --port has no effect on the check of the configuration'],
  })
})
