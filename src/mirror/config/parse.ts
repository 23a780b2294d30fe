/**
 * The text of the configuration -> its entries, and everything that is wrong with the form of them.
 */
import type { MirrorConfig } from './mirror-config.ts'
import type { Problem } from './problem.ts'
import { readAppCi, readArt, readIgnored, readSupplemental } from './sections.ts'
import { isEmpty, YamlReader } from './yaml-reader.ts'

export interface ParsedConfig {
  /** Of the entries that are well formed. */
  readonly config: MirrorConfig
  readonly problems: readonly Problem[]
}

const sections = ['supplementalCIImages', 'qciToAppCIImages', 'ignoredSources', 'artImages']

export const parseMirrorConfig = (text: string): ParsedConfig => {
  const reader = new YamlReader(text)
  // What follows from wrong syntax would only hide it.
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
