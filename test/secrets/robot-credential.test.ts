import t from 'tap'
import { cautionsAboutRobots, parseRobots } from '../../src/secrets/robot-credential.ts'
import { everythingIn } from '../upstream/upstream.ts'
import { thrown } from '../support/thrown.ts'

await t.test('a user name and a password are read as editors and echo write them', async (test) => {
  test.strictSame(parseRobots(['openshift+ci\n', ' hunter2\r\n']), [
    { username: 'openshift+ci', password: 'hunter2' },
  ])
})

await t.test('an empty file is named, and the content of the other is not in the error', async (test) => {
  test.match(thrown(() => parseRobots([' \n', 'hunter2'])).message, /user name is empty/)
  test.match(thrown(() => parseRobots(['a', ''])).message, /password is empty/)
  test.match(thrown(() => parseRobots(['a'])).message, /password is empty/)
  test.match(thrown(() => parseRobots([])).message, /user name is empty/)
  test.notMatch(everythingIn(thrown(() => parseRobots(['', 'hunter2']))), /hunter2/)
})

await t.test('several robots: one a line, in the same order, without blank lines', async (test) => {
  test.strictSame(parseRobots(['a+1\na+2\r\n\n', '\n one \ntwo']), [
    { username: 'a+1', password: 'one' },
    { username: 'a+2', password: 'two' },
  ])
  for (const [usernames, passwords, expected] of [
    ['a+1\na+2', 'hunter2', /^they hold one robot a line, .*: there are 2 user names and 1 passwords$/],
    ['a+1', 'hunter2\nhunter3', /there are 1 user names and 2 passwords$/],
    ['a+1:hunter2', 'hunter2', /user name holds a colon; the password belongs into the other file$/],
    ['a+1\na+1', 'hunter2\nhunter3', /user names names a robot twice$/],
  ] as const) {
    const error = thrown(() => parseRobots([usernames, passwords]))
    test.match(error.message, expected)
    test.notMatch(everythingIn(error), /a\+1'|hunter/)
  }
})

await t.test('byte order marks, line ends and padding are no part of a credential', async (test) => {
  const around = ['', ' ', '\t', '\0', '\r', '\n', '\r\n', '\uFEFF', '\u200B']
  for (const before of around)
    for (const after of around)
      test.strictSame(
        parseRobots([`${before}a+1${after}`, `${before}hunter2${after}`]),
        [{ username: 'a+1', password: 'hunter2' }],
        JSON.stringify([before, after]),
      )
})

await t.test('blanks inside a credential are reported, with the number of the robot only', async (test) => {
  test.strictSame(cautionsAboutRobots([{ username: 'a+1', password: 'hunter2' }]), [])
  for (const blank of [' ', '\t', '\0', '\u00A0']) {
    const robots = [
      { username: 'a+1', password: `hunter${blank}2` },
      { username: `a+${blank}2`, password: 'hunter2' },
    ]
    test.strictSame(cautionsAboutRobots(robots), [
      'the password of robot 1 has white space or control characters inside: check that it was pasted as a whole, and alone',
      'the user name of robot 2 has white space or control characters inside: check that it was pasted as a whole, and alone',
    ])
  }
})
