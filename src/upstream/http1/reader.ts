/**
 * The current reader of a connection: nobody, the head of a response, or its body.
 */
export interface Reader {
  /** Where the next bytes go. Called once after every read. */
  readonly room: () => Buffer
  /** So many bytes are there. False stops the reading, but bytes that are decrypted already still come. */
  readonly received: (bytes: number) => boolean
  /** No byte came for the time that was set. */
  readonly stalled: () => void
  /** The connection is gone. */
  readonly lost: (error: Error) => void
}
