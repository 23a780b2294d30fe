/** What keeps the helper from a credential, for the person who pulls: one sentence with what to do. */
export class HelperError extends Error {}
