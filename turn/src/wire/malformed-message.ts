/** What was read is not what its format says; the only thing decoding throws. */
export class MalformedMessage extends Error {
  override readonly name = 'MalformedMessage'
}
