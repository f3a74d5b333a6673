/**
 * Some of the relays, in an order that leaves a client the best ways: in turns one by UDP, one by
 * TLS, one by TCP, as long as there are any.
 */
export function limitRelays(uris: readonly string[], limit: number): string[] {
  const kinds = [[], [], []] as [string[], string[], string[]]
  for (const uri of uris) kinds[relayKind(uri)].push(uri)
  const chosen: string[] = []
  for (let round = 0; chosen.length < Math.min(limit, uris.length); round += 1) {
    for (const kind of kinds) {
      const uri = kind[round]
      if (uri !== undefined) chosen.push(uri)
    }
  }
  return chosen.slice(0, limit)
}

function relayKind(uri: string): 0 | 1 | 2 {
  if (uri.startsWith('turns:')) return 1
  return uri.endsWith('?transport=tcp') ? 2 : 0
}
