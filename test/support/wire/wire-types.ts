/** A local id together with the domain of its backend. */
export interface QualifiedId {
  readonly domain: string
  readonly id: string
}

/** Where a server answers: `rest` for HTTP, `ws` for sockets, both without a trailing slash. */
export interface ServerUrls {
  readonly rest: string
  readonly ws: string
}

/** The urls of a server that answers HTTP and sockets on one port. */
export function serverUrls(url: string): ServerUrls {
  const rest = url.replace(/\/+$/, '')
  return { rest, ws: rest.replace(/^http/, 'ws') }
}

export function isSameId(left: QualifiedId | undefined, right: QualifiedId): boolean {
  return left?.id === right.id && left.domain === right.domain
}
