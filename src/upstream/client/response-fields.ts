/**
 * Reads header fields of upstream's responses, whatever their spelling.
 */
type Field = string | string[] | undefined
type Fields = Readonly<Record<string, Field>>

export const single = (field: Field): string | undefined => (Array.isArray(field) ? field[0] : field)

const mediaTypeForm = /^[!#$%&'*+\-.^_`|~0-9a-z]{1,127}\/[!#$%&'*+\-.^_`|~0-9a-z]{1,127}$/

/**
 * In lower case, without parameters: a proxy in between adds `; charset=utf-8`, and clients compare types letter by letter.
 * @returns undefined for no type, or an unreadable one
 */
export const mediaTypeOf = (headers: Fields): string | undefined => {
  const [type = ''] = (single(headers['content-type']) ?? '').split(';', 1)
  const mediaType = type.trim().toLowerCase()
  return mediaTypeForm.test(mediaType) ? mediaType : undefined
}

/**
 * Whether neither Content-Encoding nor Transfer-Encoding says that the bytes are encoded. Chunked transfer is decoded already; `identity`
 * means no encoding.
 */
export const isUnencoded = (headers: Fields): boolean =>
  codingsOf(headers['content-encoding']).length === 0 &&
  ['', 'chunked'].includes(codingsOf(headers['transfer-encoding']).join())

const codingsOf = (field: Field): readonly string[] =>
  [field ?? []]
    .flat()
    .flatMap((line) => line.split(','))
    .map((coding) => coding.trim().toLowerCase())
    .filter((coding) => coding !== '' && coding !== 'identity')
