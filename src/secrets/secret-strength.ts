/**
 * Whether a secret could be guessed. Attack: who holds one token that it signed tests guesses on it, offline and as fast as they can
 * buy machines. Nobody can tell a good secret by looking at it; the usual bad ones can be told.
 */

/** Characters of `openssl rand -hex 16`. */
const minLength = 32
/** By the estimate below, which is low: random hexadecimal digits of that length are far above it. */
const minBits = 80
/** Characters of a secret that are looked at; the search is quadratic. */
const maxLooked = 512

/**
 * What is wrong with a secret, to stand behind its name; undefined where nothing is seen to be. It tells nothing of the secret that
 * would help to guess it.
 */
export const weaknessOf = (secret: string): string | undefined => {
  if (secret.includes('\uFFFD')) return 'holds bytes that are no text, of which nothing is left'
  if (secret.length < minLength) return `has fewer than ${minLength} characters`
  if (estimatedBits(secret) < minBits) return 'repeats itself, counts, or is made of well-known words'
  return undefined
}

/** What secrets are made of that people type, in the order of keyboards, alphabets and documentation. */
const wellKnown = [
  'abcdefghijklmnopqrstuvwxyz zyxwvutsrqponmlkjihgfedcba 01234567890123456789 98765432109876543210',
  'qwertyuiop asdfghjkl zxcvbnm qwertzuiop yxcvbnm 1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p deadbeef cafebabe',
  'change-me change_me changeme please replace-me replaceme your- this-is- password passw0rd p@ssw0rd secret s3cret',
  'super token signing session default example sample placeholder insecure testing test-secret development production',
  'letmein welcome admin administrator login username hunter2 swordfish correcthorsebatterystaple lorem ipsum dolor',
  'quay-proxy quay.io openshift redhat kubernetes registry docker robot container image correct horse battery staple',
  '-----begin rsa ec openssh encrypted private key----- -----begin certificate-----',
].join(' ')

/** Characters of the shortest run that was seen before; and bits for saying where that was, and how long it is. */
const minSeen = 4
const bitsOfSeen = 10

/** How many bits tell the secret to somebody who knows `wellKnown` and the characters in use. */
const estimatedBits = (secret: string): number => {
  const text = secret.slice(0, maxLooked).toLowerCase()
  const bitsOfCharacter = Math.log2(new Set(text).size)
  let bits = 0
  let at = 0
  while (at < text.length) {
    const seen = longestSeen(text, at)
    const counted = longestCounted(text, at)
    if (counted > 0 && counted >= seen) {
      bits += Math.min(counted, bitsOfSeen)
      at += counted
    } else if (seen >= minSeen) {
      bits += bitsOfSeen
      at += seen
    } else {
      bits += bitsOfCharacter
      at++
    }
  }
  return bits
}

/** Characters from `at` on that stand in what is known, or begin earlier in the secret. */
const longestSeen = (text: string, at: number): number => {
  const all = `${wellKnown} ${text}`
  const here = all.length - text.length + at
  let length = 0
  while (at + length < text.length && all.indexOf(text.slice(at, at + length + 1)) < here) length++
  return length
}

/** Characters from `at` on that go on as those before them do. */
const longestCounted = (text: string, at: number): number => {
  let length = 0
  while (isCounted(text, at + length)) length++
  return length
}

/** One up, one down or the same as the steps before it: `abc`, `321`, and by twos `1a2b3c`. */
const isCounted = (text: string, at: number): boolean =>
  [1, 2].some((stride) => {
    const [one, two, three] = [at, at - stride, at - 2 * stride].map((index) => text.charCodeAt(index))
    const step = Number(one) - Number(two)
    return Math.abs(step) <= 1 && step === Number(two) - Number(three)
  })
