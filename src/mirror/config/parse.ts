/**
 * Parses the text of the configuration into entries, and reports every mistake in their form.
 */
import type { MirrorConfig } from './mirror-config.ts'
import type { Problem } from './problem.ts'
import { readAppCi, readArt, readIgnored, readSupplemental } from './sections.ts'
import { isEmpty, YamlReader } from './yaml-reader.ts'

export interface ParsedConfig {
  /** Holds the well-formed entries only. */
  readonly config: MirrorConfig
  readonly problems: readonly Problem[]
}

const sections = ['supplementalCIImages', 'qciToAppCIImages', 'ignoredSources', 'artImages']

export const parseMirrorConfig = (text: string): ParsedConfig => {
  const reader = new YamlReader(text)
  // Further problems would follow from the syntax error, and hide it.
  const root = reader.isYaml ? reader.root : undefined
  if (reader.isYaml && isEmpty(root))
    reader.error(undefined, 'file', 'the file is empty', `write a section, such as ${sections[0]}`)
  const fields = reader.fieldsOf(root, 'the configuration', sections)
  const config = {
    supplemental: readSupplemental(reader, fields.get('supplementalCIImages')),
    appCi: readAppCi(reader, fields.get('qciToAppCIImages')),
    ignored: readIgnored(reader, fields.get('ignoredSources')),
    art: readArt(reader, fields.get('artImages')),
  }
  return { config, problems: reader.problems }
}
