/**
 * `quay-proxy explain`: who may pull an image, and what to do next. A proxy or RBAC manifests decide; without either, it only prints the
 * rules.
 */
import { readFile } from 'node:fs/promises'
import { parseExplainArguments, type ExplainArguments } from '../config/explain-arguments.ts'
import type { Explanation } from '../explain/explanation.ts'
import type { Io } from './io.ts'

/** Without a user, the exit code cannot say whether the pull is allowed. */
const unknown = 2

/** @returns 0: may pull; 1: may not; 2: unknown. @throws {Error} if the arguments are wrong, or there is no answer */
export const explain = async (args: readonly string[], io: Io): Promise<number> => {
  const values = parseExplainArguments(args, io.environment)
  if (values.server !== undefined) return await print(await online(values, values.server, io), io)
  const options = await optionsOf(values)
  if (values.rbac.length > 0) return await print(await offline(values, options, io), io)
  const { explainByRules } = await import('../explain/by-rules.ts')
  io.print(explainByRules(values.image, { ...options, grantAdvice: values.grantAdvice }))
  return unknown
}

interface Answer {
  readonly explanation: Explanation
  readonly further?: readonly (readonly [name: string, value: string])[]
}

const print = async ({ explanation, further }: Answer, io: Io): Promise<number> => {
  const { exitCodeOf, explanationText } = await import('../explain/explanation.ts')
  io.print(explanationText(explanation, further))
  return exitCodeOf(explanation)
}

const online = async (
  { image, tokenFile, serverCaFile }: ExplainArguments,
  server: URL,
  io: Io,
): Promise<Answer> => {
  const { findLogin } = await import('../explain/login.ts')
  const { explainByProxy } = await import('../explain/by-proxy.ts')
  const { commandUserAgent } = await import('../config/version.ts')
  if (tokenFile === '-' && io.isInputTerminal) io.printError('Paste the token, then Enter and Ctrl-D.')
  const { environment, openInput } = io
  const ca = serverCaFile === undefined ? undefined : await readAuthorities(serverCaFile)
  const { authorization, from } = await findLogin({ server, tokenFile, environment, openInput })
  const userAgent = commandUserAgent('explain')
  const answer = await explainByProxy(image, { server, ca, authorization, userAgent })
  return {
    explanation: answer,
    further: [
      ['login from', from],
      ['request id', answer.requestId],
    ],
  }
}

const readAuthorities = async (path: string): Promise<string> => {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new Error(`--server-ca-file=${path} cannot be read (${code})`, { cause: error })
  }
}

const optionsOf = async ({ restrictedNamespaces, ...rest }: ExplainArguments) => {
  const { createRestrictedNamespaces } = await import('../access/restricted-namespaces.ts')
  return { ...rest, isRestricted: createRestrictedNamespaces(restrictedNamespaces) }
}

const offline = async (
  { image, rbac, asUser, asGroup }: ExplainArguments,
  options: Awaited<ReturnType<typeof optionsOf>>,
  io: Io,
): Promise<Answer> => {
  const { loadOfflineReviews } = await import('../sandbox/app-ci/offline-reviews.ts')
  const { explainByManifests, userOf } = await import('../explain/by-manifests.ts')
  const { review, groupsOf, skipped, isWhole } = await loadOfflineReviews(rbac)
  for (const reason of skipped) io.printError(`left out: ${reason}`)
  const groups = [...asGroup, ...(asUser === undefined ? [] : groupsOf(asUser))]
  return { explanation: explainByManifests(image, userOf(asUser, groups), { ...options, review, isWhole }) }
}
