import type { ConnectionStatus } from '../../../contract/brig/connections.ts'

/** The two sides of a connection, as seen by the one who acts. */
export interface Sides {
  own: ConnectionStatus
  peer: ConnectionStatus
}

/** What has to happen to the 1:1 conversation. */
export type ConnectionEffect = 'request' | 'accept' | 'block' | 'unblock' | 'cancel' | 'none'

export interface ConnectionStep extends Sides {
  effect: ConnectionEffect
  /** The other side gets an event as well. */
  tellsPeer: boolean
  /** Counts against the limit of sent and accepted connections, unless it did before. */
  takesRoom: boolean
}

export type ConnectionOutcome = 'unchanged' | 'refused' | ConnectionStep

/** The first request, and every later one that starts over. */
const sendRequest: ConnectionStep = {
  own: 'sent',
  peer: 'pending',
  effect: 'request',
  tellsPeer: true,
  takesRoom: true,
}

const accept: ConnectionStep = {
  own: 'accepted',
  peer: 'accepted',
  effect: 'accept',
  tellsPeer: true,
  takesRoom: true,
}

/** Only the own side moves, and only the own devices learn of it. */
const move = (sides: Sides, own: ConnectionStatus): ConnectionStep => ({
  own,
  peer: sides.peer,
  effect: 'none',
  tellsPeer: false,
  takesRoom: false,
})

/** Somebody asks for a connection; `sides` is absent when there never was one. */
export function requestConnection(sides: Sides | undefined): ConnectionOutcome {
  if (sides === undefined) return sendRequest
  const { own, peer } = sides
  if (own === 'missing-legalhold-consent' || peer === 'missing-legalhold-consent') return 'refused'
  if (own === 'blocked') return 'refused'
  if (peer === 'blocked') {
    // Whoever is blocked must not be able to tell.
    return own === 'accepted' || own === 'sent' ? 'unchanged' : move(sides, 'sent')
  }
  const takesRoom = own !== 'accepted' && own !== 'sent'
  if (peer === 'accepted' || peer === 'sent') {
    return own === 'accepted' && peer === 'accepted' ? 'unchanged' : { ...accept, takesRoom }
  }
  return { ...sendRequest, takesRoom }
}

/** Somebody sets the status of their side. */
export function changeConnection(sides: Sides, wanted: ConnectionStatus): ConnectionOutcome {
  const { own, peer } = sides
  if (own === 'missing-legalhold-consent' || peer === 'missing-legalhold-consent') return 'refused'
  const step = stepTo(sides, wanted)
  if (step !== undefined) return step
  return own === wanted ? 'unchanged' : 'refused'
}

function stepTo(sides: Sides, wanted: ConnectionStatus): ConnectionStep | undefined {
  const { own, peer } = sides
  switch (wanted) {
    case 'accepted':
      if (own === 'pending' || own === 'ignored') return acceptPeer(sides)
      if (own === 'blocked') return unblock(sides)
      // Both have asked: nobody is left who could answer.
      if (own === 'sent' && (peer === 'sent' || peer === 'accepted')) {
        return { ...accept, takesRoom: false }
      }
      return undefined
    case 'sent':
      return own === 'blocked' ? unblock(sides) : undefined
    case 'ignored':
      return own === 'pending' ? move(sides, 'ignored') : undefined
    case 'blocked':
      return own === 'blocked' ? undefined : { ...move(sides, 'blocked'), effect: 'block' }
    case 'cancelled':
      if (own !== 'sent') return undefined
      if (peer === 'pending' || peer === 'ignored') {
        return {
          own: 'cancelled',
          peer: 'cancelled',
          effect: 'cancel',
          tellsPeer: true,
          takesRoom: false,
        }
      }
      return peer === 'blocked' || peer === 'cancelled' ? move(sides, 'cancelled') : undefined
    case 'pending':
    case 'missing-legalhold-consent':
      return undefined
  }
}

function acceptPeer(sides: Sides): ConnectionStep {
  // Two requests that crossed can leave both sides pending.
  if (sides.peer === 'sent' || sides.peer === 'pending') return accept
  return { ...accept, peer: sides.peer, tellsPeer: false }
}

/** As far as it can go without the other side: accepted, or asked again. */
function unblock(sides: Sides): ConnectionStep {
  const isWanted = sides.peer === 'accepted' || sides.peer === 'blocked' || sides.peer === 'sent'
  const isAnswered = sides.peer === 'sent'
  return {
    own: isWanted ? 'accepted' : 'sent',
    peer: isAnswered ? 'accepted' : sides.peer,
    effect: 'unblock',
    tellsPeer: isAnswered,
    takesRoom: true,
  }
}
