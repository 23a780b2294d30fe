/**
 * The host in the server URL of a request. Clients write it in several forms: `host:port`, `https://host`, `https://host/v1/`.
 *
 * @see https://github.com/docker/docker-credential-helpers#development
 */

/**
 * A strict grammar, where a URL parser would be lenient. Attack: in `https://good@evil` and in `https://good\@evil`, the helper and the client
 * could read different hosts. A token must not go over plain http, so `http://` is not read either.
 */
const server = /^(?:https:\/\/)?([a-z0-9.-]+(?::\d{1,5})?|\[[0-9a-f:]+\](?::\d{1,5})?)(?:\/[\w./-]*)?$/i

/** @returns lower case, without the port of https; undefined if the text is not of these forms */
export const normalizedHost = (text: string): string | undefined =>
  server.exec(text)?.[1]?.toLowerCase().replace(/:443$/, '')
