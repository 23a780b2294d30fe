/**
 * Files whose content may be replaced while we run (a Kubernetes secret volume swaps a symbolic link): read eagerly, read
 * again on an interval, and never replaced by something worse.
 */
import { readFileSync } from 'node:fs'

export interface WatchedFiles<Value> {
  /** The newest content that could be parsed. */
  readonly current: () => Value
  /** Reads the files now; true where the content is new. */
  readonly reload: () => boolean
  readonly onChange: (listener: (value: Value) => void) => void
  readonly close: () => void
}

export interface WatchedFilesOptions<Value> {
  readonly paths: readonly string[]
  /** @throws {Error} with a message for the operator, never holding the content */
  readonly parse: (contents: readonly string[]) => Value
  /** Called where the files cannot be read or parsed any more; the last good content stays in force. */
  readonly onError: (error: Error) => void
  /** Milliseconds between two looks. A kubelet takes about a minute to bring a changed secret. */
  readonly intervalMs?: number
}

/** @throws {Error} where the files cannot be read or parsed at the start */
export const watchFiles = <Value>(options: WatchedFilesOptions<Value>): WatchedFiles<Value> => {
  const { paths, parse, onError, intervalMs = 10_000 } = options
  const listeners: ((value: Value) => void)[] = []
  const read = () => paths.map((path) => readText(path))
  let contents = read()
  let value = parse(contents)

  const reload = (): boolean => {
    try {
      const next = read()
      if (next.every((content, index) => content === contents[index])) return false
      value = parse(next)
      contents = next
    } catch (error) {
      onError(error as Error)
      return false
    }
    for (const listener of listeners) listener(value)
    return true
  }

  const timer = setInterval(reload, intervalMs).unref()
  return {
    current: () => value,
    reload,
    onChange: (listener) => listeners.push(listener),
    close: () => clearInterval(timer),
  }
}

/** @throws {Error} that names the file and what the system says of it */
export const readText = (path: string): string => {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new Error(`${path} cannot be read (${(error as NodeJS.ErrnoException).code})`, { cause: error })
  }
}
