import t from 'tap'
import { runOc } from '../../src/credential-helper/oc.ts'
import { fakeOc } from './fake-oc.ts'

const deadlineMs = 30_000

await t.test('both outputs, and whether it succeeded', async (test) => {
  const { environment, calls } = fakeOc(test, { good: 'echo out; echo err >&2', bad: 'exit 3' })
  const options = { environment, deadlineMs }
  test.strictSame(await runOc(['good', 'x'], options), { succeeded: true, stdout: 'out\n', stderr: 'err\n' })
  test.match(await runOc(['bad'], options), { succeeded: false, stdout: '' })
  test.strictSame(calls(), ['bad', 'good x'])
})

await t.test('it gets no input, so it cannot wait for a password', async (test) => {
  const { environment } = fakeOc(test, { login: 'cat; echo done' })
  test.match(await runOc(['login'], { environment, deadlineMs }), { stdout: 'done\n' })
})

await t.test('an endless output is not kept', async (test) => {
  const { environment } = fakeOc(test, { whoami: 'head -c 5000000 /dev/zero' })
  const { stdout } = await runOc(['whoami'], { environment, deadlineMs })
  test.ok(stdout.length < 1024 * 1024, `${stdout.length} characters`)
})

await t.test('one that hangs, with a process of its own, is ended at the deadline', async (test) => {
  const { environment } = fakeOc(test, { whoami: 'sleep 60 & echo $! > "${0%/*}/child"; wait' })
  const began = performance.now()
  await test.rejects(runOc(['whoami'], { environment, deadlineMs: 200 }), {
    message: 'oc did not answer within 0.2 s: check that oc whoami works',
  })
  test.ok(performance.now() - began < 30_000, 'and not when its child ends')
})

await t.test('without oc, and one that cannot be started', async (test) => {
  await test.rejects(runOc([], { environment: { PATH: test.testdir({}) }, deadlineMs }), {
    message: 'oc is not on the PATH: install it, then oc login',
  })
  const directory = test.testdir({ 'not-executable': { oc: '' } })
  await test.rejects(runOc([], { environment: { PATH: `${directory}/not-executable` }, deadlineMs }), {
    message: 'oc cannot be started (EACCES), then oc login',
  })
})
