/**
 * Files that may change while the process runs (a Kubernetes secret volume swaps a symbolic link). They are read at the start and again at
 * an interval. If the new content cannot be parsed, the old content stays in use.
 */
import { readFileSync } from 'node:fs'

export interface WatchedFiles<Value> {
  /** The newest valid content. */
  readonly current: () => Value
  /** Reads the files now. @returns whether the content is new */
  readonly reload: () => boolean
  readonly onChange: (listener: (value: Value) => void) => void
  readonly close: () => void
}

export interface WatchedFilesOptions<Value> {
  readonly paths: readonly string[]
  /** @throws {Error} with a message for the operator, which never holds the content */
  readonly parse: (contents: readonly string[]) => Value
  /** Called if the files cannot be read or parsed any more. The last valid content stays in use. */
  readonly onError: (error: Error) => void
  /** Milliseconds between two reads. A kubelet takes about a minute to update a changed secret. */
  readonly intervalMs?: number
}

/** @throws {Error} if the files cannot be read or parsed at the start */
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

/** @throws {Error} with the name of the file and the error code of the system */
export const readText = (path: string): string => {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new Error(`${path} cannot be read (${(error as NodeJS.ErrnoException).code})`, { cause: error })
  }
}
