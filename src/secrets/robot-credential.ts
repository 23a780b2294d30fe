/**
 * Reads the credentials of robots from a file of user names and a file of passwords.
 */
import { hasInnerBlanks, linesOf } from './pasted-text.ts'

export interface RobotCredential {
  readonly username: string
  readonly password: string
}

/** Each line has one robot, in the same order in both files. @throws {Error} for other files */
export const parseRobots = ([
  usernames = '',
  passwords = '',
]: readonly string[]): readonly RobotCredential[] => {
  const names = linesOf(usernames)
  const secrets = linesOf(passwords)
  if (names.length === 0) throw new Error('the file of the robot user name is empty')
  if (secrets.length === 0) throw new Error('the file of the robot password is empty')
  // Basic splits at the first colon. And if `user:password` was pasted, messages would show the password as a user name.
  if (names.some((name) => name.includes(':')))
    throw new Error('the file of the robot user name holds a colon; the password belongs into the other file')
  if (names.length !== secrets.length)
    throw new Error(
      `they hold one robot a line, in the same order: there are ${names.length} user names and ${secrets.length} passwords`,
    )
  // It would be unknown which of its two passwords is right.
  if (new Set(names).size < names.length)
    throw new Error('the file of the robot user names names a robot twice')
  return names.map((username, index) => ({ username, password: `${secrets[index]}` }))
}

/** Warnings for the operator, a sentence each, about credentials that are valid but look like an accident. */
export const cautionsAboutRobots = (robots: readonly RobotCredential[]): readonly string[] =>
  robots.flatMap((robot, index) =>
    (['username', 'password'] as const)
      .filter((half) => hasInnerBlanks(robot[half]))
      .map(
        (half) =>
          `the ${half === 'username' ? 'user name' : half} of robot ${index + 1} has white space or control characters inside: check that it was pasted as a whole, and alone`,
      ),
  )
