/**
 * The text of the configuration -> its entries, and everything that is wrong with the form of them.
 */
import { gunzipSync } from 'node:zlib'
import type { MirrorConfig } from './mirror-config.ts'
import type { Problem } from './problem.ts'
import { readAppCi, readArt, readIgnored, readSupplemental } from './sections.ts'
import { YamlReader } from './yaml-reader.ts'

export interface ParsedConfig {
  /** Of the entries that are well formed. */
  readonly config: MirrorConfig
  readonly problems: readonly Problem[]
}

const sections = ['supplementalCIImages', 'qciToAppCIImages', 'ignoredSources', 'artImages']

export const parseMirrorConfig = (text: string): ParsedConfig => {
  const reader = new YamlReader(text)
  const fields = reader.fieldsOf(reader.root, 'the configuration', sections)
  const config = {
    supplemental: readSupplemental(reader, fields.get('supplementalCIImages')),
    appCi: readAppCi(reader, fields.get('qciToAppCIImages')),
    ignored: readIgnored(reader, fields.get('ignoredSources')),
    art: readArt(reader, fields.get('artImages')),
  }
  return { config, problems: reader.problems }
}

/** Bytes. Today's file has 53 kB. Attack: a small gzip file that unpacks to gigabytes. */
const maxBytes = 16 * 1024 * 1024

/** @throws {Error} where it is gzip that cannot be unpacked, or too large */
export const decodeConfig = (content: Buffer): string => {
  const isGzip = content[0] === 0x1f && content[1] === 0x8b
  return (isGzip ? gunzipSync(content, { maxOutputLength: maxBytes }) : content).toString()
}
