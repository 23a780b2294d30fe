/**
 * The errors of the store: classes for the program, messages for the log.
 *
 * Attack: a server echoes the command in its error ("unknown command AUTH, with args beginning with: ..."), which would bring the password
 * into a log. So only the code of a server's error is used.
 */

/** No answer within its deadline. */
export class StoreSlow extends Error {
  override readonly name = 'StoreSlow'

  constructor(ms: number) {
    super(`the store did not answer within ${ms} ms`)
  }
}

/** There is no connection. */
export class StoreUnavailable extends Error {
  override readonly name = 'StoreUnavailable'
}

/** The store answered with an error. */
export class StoreRefused extends Error {
  override readonly name = 'StoreRefused'
  /** `OOM`, `READONLY`, `WRONGPASS` ...; `PROTOCOL` for a reply of another form than expected. */
  readonly code: string

  constructor(code: string) {
    super(messages[code] ?? `the store answered ${code}`)
    this.code = code
  }
}

const login =
  'the store refuses the login; check --shared-state-password-file, and the user in the URL of --shared-state'
const cluster = 'the store is a cluster; --shared-state needs one without cluster mode'

const messages: Readonly<Record<string, string>> = {
  WRONGPASS: login,
  NOAUTH: login,
  NOPERM: 'the user of the store may not run what is needed; grant it all commands on the keys quay-proxy:*',
  READONLY: 'the store is a read-only replica; it is tried again until a primary answers',
  LOADING: 'the store is loading its data',
  MASTERDOWN: 'the store is a replica without its primary',
  CLUSTERDOWN: cluster,
  MOVED: cluster,
  OOM: 'the store is full and takes no writes; raise its maxmemory',
  MISCONF: 'the store takes no writes because it cannot save to its disk',
  DENIED: 'the store refuses connections from here (its protected mode); give it a password',
  PROTOCOL: 'the store answered in another form than expected; is it Valkey, or Redis 6.2 or later?',
}

/** Codes of a store that cannot be used at all for now. A full store still answers reads. */
const ending = new Set([
  'WRONGPASS',
  'NOAUTH',
  'NOPERM',
  'READONLY',
  'LOADING',
  'MASTERDOWN',
  'CLUSTERDOWN',
  'MOVED',
  'DENIED',
  'PROTOCOL',
])

export const endsSession = (error: unknown): boolean =>
  error instanceof StoreRefused && ending.has(error.code)

/** The code of an error within a script: Redis 6 has it in the middle of the text, later versions at its start. */
const withinPattern = / -(OOM|READONLY|MISCONF|NOPERM) /

export const refusalOf = (text: string): StoreRefused =>
  new StoreRefused(withinPattern.exec(text)?.[1] ?? /^[A-Z]+\b/.exec(text)?.[0] ?? 'ERR')

/** One line for the log, with only the code or name of a foreign error. */
export const reasonOf = (error: unknown): string => {
  if (error instanceof StoreSlow || error instanceof StoreUnavailable || error instanceof StoreRefused)
    return error.message
  const { code, name } = error as NodeJS.ErrnoException
  return `the store cannot be reached (${code ?? name})`
}
