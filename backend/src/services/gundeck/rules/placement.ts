/**
 * Where shards go. Everybody comes to the same result from the same view of the ring; where views
 * differ, the conditional write decides.
 */

/** Shards handed over in one change, so that the others go on meanwhile. */
const largestHandover = 8

/** Who has how many, of those who may own shards; in a fixed order. */
export function countShards(
  owners: readonly (string | undefined)[],
  candidates: readonly string[],
): Map<string, number> {
  const counts = new Map(candidates.toSorted().map((name) => [name, 0]))
  for (const owner of owners) {
    const count = owner === undefined ? undefined : counts.get(owner)
    if (owner !== undefined && count !== undefined) counts.set(owner, count + 1)
  }
  return counts
}

/** Gives each shard to whoever has fewest. Empty when there is nobody. */
export function spreadShards(
  shards: readonly number[],
  counts: ReadonlyMap<string, number>,
): Map<number, string> {
  const next = new Map(counts)
  const places = new Map<number, string>()
  for (const shard of shards) {
    const place = leastOf(next)
    if (place === undefined) break
    places.set(shard, place)
    next.set(place, (next.get(place) ?? 0) + 1)
  }
  return places
}

/**
 * What `me` hands to whom so that all have the same number. Nothing while they differ by one at
 * most, and only by the one who has most: two would not agree who gives.
 */
export function handover(
  owners: readonly (string | undefined)[],
  candidates: readonly string[],
  me: string,
): { readonly shards: readonly number[]; readonly to: string } | undefined {
  const counts = countShards(owners, candidates)
  const to = leastOf(counts)
  const mine = counts.get(me) ?? 0
  if (to === undefined || to === me || mostOf(counts) !== me) return undefined
  const surplus = Math.floor((mine - (counts.get(to) ?? 0)) / 2)
  if (surplus === 0) return undefined
  const own = [...owners.keys()].filter((shard) => owners[shard] === me)
  return { shards: own.slice(-Math.min(surplus, largestHandover)), to }
}

function leastOf(counts: ReadonlyMap<string, number>): string | undefined {
  let least: string | undefined
  for (const [name, count] of counts) {
    if (least === undefined || count < (counts.get(least) ?? 0)) least = name
  }
  return least
}

function mostOf(counts: ReadonlyMap<string, number>): string | undefined {
  let most: string | undefined
  for (const [name, count] of counts) {
    if (most === undefined || count > (counts.get(most) ?? 0)) most = name
  }
  return most
}
