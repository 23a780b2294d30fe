/** The reason why there is no credential: one sentence for the person who pulls, with what to do. */
export class HelperError extends Error {}
