import t from 'tap'
import { parseDockerConfig, parseRobots } from '../../../src/quay/robot/robot-credential.ts'
import { everythingIn } from '../upstream.ts'

const quay = new URL('https://quay.io')
const base64 = (text: string): string => Buffer.from(text).toString('base64')
const configOf = (auths: unknown): string[] => [JSON.stringify({ auths })]
const parse = (auths: unknown, upstream = quay) => {
  const [robot, ...more] = parseDockerConfig(upstream, 'openshift/ci')(configOf(auths))
  if (robot === undefined || more.length > 0) throw new Error('a pull secret is of one robot')
  return robot
}

/** What is thrown. */
const thrown = (run: () => unknown): Error => {
  try {
    run()
  } catch (error) {
    return error as Error
  }
  throw new Error('nothing was thrown')
}

await t.test('a user name and a password, as editors and echo leave them', async (test) => {
  test.strictSame(parseRobots(['openshift+ci\n', ' hunter2\r\n']), [
    { username: 'openshift+ci', password: 'hunter2' },
  ])
})

await t.test('an empty file is named, and the other is not told', async (test) => {
  test.match(thrown(() => parseRobots([' \n', 'hunter2'])).message, /user name is empty/)
  test.match(thrown(() => parseRobots(['a', ''])).message, /password is empty/)
  test.match(thrown(() => parseRobots(['a'])).message, /password is empty/)
  test.match(thrown(() => parseRobots([])).message, /user name is empty/)
  test.notMatch(everythingIn(thrown(() => parseRobots(['', 'hunter2']))), /hunter2/)
})

await t.test('several robots: one a line, in the same order, blank lines aside', async (test) => {
  test.strictSame(parseRobots(['a+1\na+2\r\n\n', '\n one \ntwo']), [
    { username: 'a+1', password: 'one' },
    { username: 'a+2', password: 'two' },
  ])
  for (const [usernames, passwords, expected] of [
    ['a+1\na+2', 'hunter2', /^they hold one robot a line, .*: there are 2 user names and 1 passwords$/],
    ['a+1', 'hunter2\nhunter3', /there are 1 user names and 2 passwords$/],
    ['a+1\na+1', 'hunter2\nhunter3', /user names names a robot twice$/],
  ] as const) {
    const error = thrown(() => parseRobots([usernames, passwords]))
    test.match(error.message, expected)
    test.notMatch(everythingIn(error), /a\+1'|hunter/)
  }
})

await t.test('trap 1: the password starts at the first colon and may hold more', async (test) => {
  test.strictSame(parse({ 'quay.io': { auth: base64('openshift+ci:a:b:') } }), {
    username: 'openshift+ci',
    password: 'a:b:',
  })
})

await t.test('a user name and a password in clear', async (test) => {
  test.strictSame(parse({ 'quay.io': { username: 'a', password: 'b' } }), { username: 'a', password: 'b' })
})

await t.test('the most specific entry, and never the one of another host', async (test) => {
  const entry = (username: string) => ({ auth: base64(`${username}:p`) })
  const auths = {
    'quay.io/openshift/ci': entry('repository'),
    'quay.io/openshift': entry('namespace'),
    'quay.io': entry('host'),
    'https://quay.io': entry('origin'),
    'quay.io.example.com': entry('stranger'),
  }
  const left = Object.entries(auths)
  for (const username of ['repository', 'namespace', 'host', 'origin']) {
    test.equal(parse(Object.fromEntries(left)).username, username)
    left.shift()
  }
  test.match(thrown(() => parse(Object.fromEntries(left))).message, /no entry for quay\.io$/)
  test.match(
    thrown(() => parse(auths, new URL('https://quay.io:8443'))).message,
    /no entry for quay\.io:8443$/,
  )
  const named = parseDockerConfig(quay, '')
  test.match(named(configOf({ 'quay.io': entry('host') })), [{ username: 'host' }])
})

await t.test('an entry that is not there by itself is none', async (test) => {
  const prototype = parseDockerConfig(new URL('http://constructor'), 'openshift/ci')
  test.match(thrown(() => prototype(configOf({}))).message, /no entry for constructor/)
})

await t.test('an entry without both halves is refused, and its half is not told', async (test) => {
  const entries = [
    { auth: base64('hunter2') },
    { auth: base64(':hunter2') },
    { auth: base64('hunter2:') },
    { auth: '' },
    { username: 'hunter2' },
    { password: 'hunter2' },
    { username: '', password: 'hunter2' },
    {},
    null,
    'hunter2',
  ]
  for (const entry of entries) {
    const error = thrown(() => parse({ 'quay.io': entry }))
    test.match(error.message, /entry quay\.io of the dockerconfigjson holds no user name and password/)
    test.notMatch(everythingIn(error), /hunter2/, JSON.stringify(entry))
  }
})

await t.test('what is not a dockerconfigjson is refused, and its text is not told', async (test) => {
  const read = parseDockerConfig(quay, 'openshift/ci')
  for (const content of ['{"auths": hunter2', 'hunter2', '']) {
    const error = thrown(() => read([content]))
    test.equal(error.message, 'the dockerconfigjson is not valid JSON')
    test.notMatch(everythingIn(error), /hunter2/)
  }
  test.match(thrown(() => read([])).message, /not valid JSON/)
  for (const content of ['1', 'null', '{}', '{"auths":null}', '{"auths":"hunter2"}'])
    test.equal(thrown(() => read([content])).message, 'the dockerconfigjson holds no "auths"', content)
})

await t.test('an empty auth beside the two, as some tools write it', async (test) => {
  const content = JSON.stringify({
    auths: { 'quay.io': { auth: '', username: 'robot', password: 'secret' } },
  })
  const parse = parseDockerConfig(new URL('https://quay.io'), 'openshift/ci')
  test.same(parse([content]), [{ username: 'robot', password: 'secret' }])
})
