/** An operation without the names of its parameters: `GET /users/{}/{}`. */
export const shapeOf = (operation: string): string => operation.replaceAll(/\{[^}]+\}/g, '{}')

/** Operations that can only refuse until what they are about exists; the list may only shrink. */
const yetToSucceed: ReadonlySet<string> = new Set([
  // Only an account with single sign-on can do without its address.
  'DELETE /self/email',
  // Only members of a team know more of one another.
  'GET /users/{}/rich-info',
])

export const isYetToSucceed = (operation: string): boolean => yetToSucceed.has(operation)
