/**
 * Fields of upstream's answers, read in one way whatever their spelling.
 */
type Field = string | string[] | undefined
type Fields = Readonly<Record<string, Field>>

export const single = (field: Field): string | undefined => (Array.isArray(field) ? field[0] : field)

const mediaTypeForm = /^[!#$%&'*+\-.^_`|~0-9a-z]{1,127}\/[!#$%&'*+\-.^_`|~0-9a-z]{1,127}$/

/**
 * Lower case, without parameters: a proxy in between adds `; charset=utf-8`, and clients compare types letter by letter.
 * @returns undefined where there is none, or none that can be read
 */
export const mediaTypeOf = (headers: Fields): string | undefined => {
  const [type = ''] = (single(headers['content-type']) ?? '').split(';', 1)
  const mediaType = type.trim().toLowerCase()
  return mediaTypeForm.test(mediaType) ? mediaType : undefined
}

/**
 * Whether the body holds the bytes themselves, which Content-Encoding and Transfer-Encoding may deny. A transfer in chunks has been read
 * by now; `identity` says nothing.
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
