/**
 * The files of one flag, or of two that belong together: their paths, their parser, and the name of the flag for messages.
 */
import { exposureOf, type FileKind } from '../secrets/file-permissions.ts'
import { readText } from '../secrets/watched-files.ts'

/** Files with their parser: at the start they are read once, later again after each change. */
export interface WatchableFiles<Value> {
  readonly paths: readonly string[]
  readonly parse: (contents: readonly string[]) => Value
  /**
   * Warnings about contents that can be parsed, or about the permissions of the files. Each is a sentence for the operator that names the
   * flags, and quotes nothing of the contents.
   * @throws {Error} if a file does not exist any more
   */
  readonly cautions: (contents: readonly string[]) => readonly string[]
}

export interface FlagFiles<Value> extends WatchableFiles<Value> {
  /** The flags: `--tls-cert-file and --tls-key-file` */
  readonly name: string
}

/** @param look returns further cautions about contents that can be parsed */
export const flagFiles = <Value>(
  name: string,
  files: readonly (readonly [path: string, kind: FileKind])[],
  parse: (contents: readonly string[]) => Value,
  look: (contents: readonly string[]) => readonly string[] = () => [],
): FlagFiles<Value> => ({
  name,
  paths: files.map(([path]) => path),
  parse,
  cautions: (contents) =>
    [...look(contents), ...files.map(([path, kind]) => exposureOf(path, kind))]
      .filter((caution) => caution !== undefined)
      .map((caution) => `${name}: ${caution}`),
})

export const flagFile = <Value>(
  name: string,
  path: string | undefined,
  kind: FileKind,
  parse: (content: string) => Value,
): FlagFiles<Value> | undefined =>
  path === undefined ? undefined : flagFiles(name, [[path, kind]], ([content = '']) => parse(content))

/**
 * @param problems is added to, if a file cannot be read or parsed: a sentence that names the flag
 * @param warnings is added to, if something should be changed: likewise
 */
export const tryFiles = <Value>(
  { name, paths, parse, cautions }: FlagFiles<Value>,
  problems: string[],
  warnings: string[],
): Value | undefined => {
  try {
    const contents = paths.map(readText)
    const value = parse(contents)
    warnings.push(...cautions(contents))
    return value
  } catch (error) {
    problems.push(`${name}: ${(error as Error).message}`)
    return undefined
  }
}
