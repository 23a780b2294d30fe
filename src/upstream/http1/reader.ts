/**
 * Who is being read for on a connection: nobody, the head of an answer, or its body.
 */
export interface Reader {
  /** Where the next bytes go; asked for after every read, and not again before the next. */
  readonly room: () => Buffer
  /** So many bytes are there; false stops the reading, though what has been decrypted already still comes. */
  readonly received: (bytes: number) => boolean
  /** Nothing came for the time that was set. */
  readonly stalled: () => void
  /** The connection is gone. */
  readonly lost: (error: Error) => void
}
