/**
 * Static keys for S3, in the form of the credentials file of AWS: the section `default`, or the lines before any section.
 * @see https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html
 */
import { linesOf } from './pasted-text.ts'

export interface StaticS3Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
}

/** @throws {Error} with a message that holds nothing of the content */
export const parseS3Credentials = (content: string): StaticS3Credentials => {
  const settings = settingsOf(content)
  const [accessKeyId, secretAccessKey] = ['aws_access_key_id', 'aws_secret_access_key'].map((name) => {
    const value = settings.get(name) ?? ''
    if (value === '') throw new Error(`it has no ${name} in its section [default]`)
    // A signature with it is a header field.
    if (!/^[\x21-\x7e]+$/.test(value))
      throw new Error(`${name} has blanks or other characters that no key has`)
    return value
  }) as [string, string]
  const sessionToken = settings.get('aws_session_token')
  return { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) }
}

const settingsOf = (content: string): ReadonlyMap<string, string> => {
  const settings = new Map<string, string>()
  let isDefault = true
  for (const line of linesOf(content)) {
    if (line.startsWith('#') || line.startsWith(';')) continue
    if (line.startsWith('[')) isDefault = line.replaceAll(/[[\]\s]/g, '') === 'default'
    const equals = line.indexOf('=')
    if (isDefault && equals > 0)
      settings.set(line.slice(0, equals).trim().toLowerCase(), line.slice(equals + 1).trim())
  }
  return settings
}
