import t from 'tap'
import { robotFiles } from '../../src/config/robot-files.ts'

const none = {
  robotUsernameFile: undefined,
  robotPasswordFile: undefined,
  robotDockerconfigFile: undefined,
  upstream: new URL('https://quay.io'),
  upstreamRepository: 'openshift/ci',
}
const two = { ...none, robotUsernameFile: '/username', robotPasswordFile: '/password' }
const one = { ...none, robotDockerconfigFile: '/config' }

await t.test('two files, or a pull secret', async (test) => {
  const problems: string[] = []
  const files = robotFiles(two, problems)
  test.match(files, {
    name: '--robot-username-file and --robot-password-file',
    paths: ['/username', '/password'],
  })
  test.strictSame(files?.parse(['a\nc', 'b\nd']), [
    { username: 'a', password: 'b' },
    { username: 'c', password: 'd' },
  ])
  const config = robotFiles(one, problems)
  test.match(config, { name: '--robot-dockerconfig-file', paths: ['/config'] })
  test.strictSame(config?.parse([JSON.stringify({ auths: { 'quay.io': { auth: btoa('a:b') } } })]), [
    { username: 'a', password: 'b' },
  ])
  test.strictSame(problems, [])
})

await t.test('missing and contradicting flags are named', async (test) => {
  const missing: string[] = []
  test.equal(robotFiles(none, missing), undefined)
  test.match(missing, [/^--robot-username-file is missing: ./, /^--robot-password-file is missing: ./])
  const half: string[] = []
  test.equal(robotFiles({ ...two, robotPasswordFile: undefined }, half), undefined)
  test.match(half, [/^--robot-password-file is missing: ./])
  for (const values of [
    { ...one, robotUsernameFile: '/a' },
    { ...one, robotPasswordFile: '/a' },
  ]) {
    const both: string[] = []
    robotFiles(values, both)
    test.match(both, [/^--robot-dockerconfig-file replaces /])
  }
})

await t.test('a pull secret is not searched if upstream is not valid', async (test) => {
  const problems: string[] = []
  test.equal(robotFiles({ ...one, upstream: undefined }, problems), undefined)
  test.equal(robotFiles({ ...one, upstreamRepository: undefined }, problems), undefined)
  test.strictSame(problems, [])
})
