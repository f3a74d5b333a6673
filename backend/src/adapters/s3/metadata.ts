import type { ObjectMetadata } from '../../ports/objects.ts'

/** Headers carry ASCII, and lose spaces at their ends. */
export function encodeMetadata(metadata: ObjectMetadata): Record<string, string> {
  return Object.fromEntries(
    Object.entries(metadata).map(([key, value]) => [key, encodeURIComponent(value)]),
  )
}

/** What others wrote may be encoded in no way, and stays as it is. */
export function decodeMetadata(stored: Readonly<Record<string, string>> = {}): ObjectMetadata {
  return Object.fromEntries(
    Object.entries(stored).map(([key, value]) => [key.toLowerCase(), decoded(value)]),
  )
}

function decoded(value: string): string {
  try {
    return decodeURIComponent(value)
  } catch {
    return value
  }
}
