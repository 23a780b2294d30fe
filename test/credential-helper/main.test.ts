/** The program as a process: what no test of `run` can see. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { delimiter, dirname, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import t from 'tap'
import manifest from '../../package.json' with { type: 'json' }
import { fakeOc, loggedIn, token } from './fake-oc.ts'

const program = resolve(import.meta.dirname, '../..', manifest.bin['docker-credential-quay-proxy'])
/** V8 measures coverage less precisely in functions that come from a compile cache. */
const measured = { ...process.env, NODE_DISABLE_COMPILE_CACHE: '1' }

const ended = async (
  command: string,
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
  input: string,
) => {
  const child = spawn(command, args, { env: environment })
  child.stdin.on('error', () => undefined).end(input)
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<[number | null]>,
  ])
  return { code, stdout, stderr }
}

void t.test('started by its name, as clients do', async (test) => {
  const { environment } = fakeOc(test, loggedIn)
  const path = [dirname(process.execPath), environment['PATH']].join(delimiter)
  const started = await ended(program, ['get'], { ...measured, PATH: path }, 'quay-proxy.ci.openshift.org')
  test.equal(started.code, 0, started.stderr)
  test.match(JSON.parse(started.stdout), { Username: 'alice', Secret: token })
})

void t.test(
  'a Node.js that cannot read TypeScript: one sentence, where the client shows it',
  async (test) => {
    const old = async (action: string) =>
      await ended(process.execPath, ['--no-strip-types', program, action], measured, '')
    const tooOld =
      /^docker-credential-quay-proxy: Node\.js v\S+ is too old: put Node\.js 24 or later on the PATH\n$/
    const [get, kubelet] = await Promise.all([old('get'), old('kubelet')])
    test.match(get, { code: 1, stdout: tooOld })
    test.match(kubelet, { code: 1, stdout: '', stderr: 'is too old' })
  },
)
