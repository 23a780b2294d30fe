import { spawnSync } from 'node:child_process'
import t from 'tap'
import manifest from '../../package.json' with { type: 'json' }

// As `npx ci-images-mirror` does.
await t.test('the program', async (t) => {
  const folder = t.testdir({ good: 'supplementalCIImages:\n  a/b:c: {image: quay.io/a/b:c}\n' })
  const start = (...args: readonly string[]) =>
    spawnSync(process.execPath, [manifest.bin['ci-images-mirror'], ...args], { encoding: 'utf8' })
  t.match(start('--validate-config-only', `--config=${folder}/good`), {
    status: 0,
    stdout: /: valid, 0 errors, 0 warnings\n$/,
    stderr: '',
  })
  t.match(start('x'), {
    status: 2,
    stdout: '',
    stderr: 'ci-images-mirror: "x" is not a command; --help lists them\n',
  })
})
