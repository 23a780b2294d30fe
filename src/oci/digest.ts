/**
 * The form of a digest.
 * @see https://github.com/opencontainers/image-spec/blob/main/descriptor.md#digests
 */
declare const valid: unique symbol
/** `sha256:<64 hex>` or `sha512:<128 hex>`: only content with these registered algorithms can be verified. */
export type Digest = string & { readonly [valid]: 'Digest' }

const digestPattern = /^(?:sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128})$/

export const isDigest = (text: string): text is Digest => digestPattern.test(text)
