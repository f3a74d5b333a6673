import type {
  Answer,
  Batch,
  Bounds,
  Instance,
  Registration,
  Row,
  Rules,
  Shard,
  State,
  Tenure,
} from './state.ts'

export interface Step {
  readonly label: string
  readonly next: State
}

/** What a run may do and what it must obey. */
interface Run {
  readonly rules: Rules
  readonly bounds: Bounds
}

/**
 * Everything that can happen next, in any order. An instance that takes no step is frozen, one that
 * takes its next step late woke up: nothing here depends on time. A step is what nobody can look
 * into: a write that lands, a read, a decision in memory.
 *
 * Two things need no steps of their own. A takeover reads the ring and writes on condition of what it
 * read, so it is as if both were one. A write of unknown outcome is repeated with the same id until
 * it commits, which is the same as waiting until it lands.
 */
export function* stepsFrom(state: State, rules: Rules, bounds: Bounds): Generator<Step> {
  const run = { rules, bounds }
  for (let i = 0; i < bounds.instances; i++) {
    if (isSpare(state, i)) continue
    yield* ownSteps(state, run, i)
    yield* releaseSteps(state, run, i)
    yield* restartSteps(state, run, i)
    yield* appendSteps(state, run, i)
  }
  yield* landingSteps(state, run)
  if (bounds.reader === 'socket') yield* socketSteps(state, run)
}

/** Before the first move it makes no difference which of the others takes part. */
function isSpare(state: State, i: number): boolean {
  return i > 1 && state.shard.epoch === 1
}

// Who owns the shard

function* ownSteps(state: State, { rules, bounds }: Run, i: number): Generator<Step> {
  const { shard } = state
  const name = nameOf(i)
  const instance = instanceAt(state, i)
  const { tenure } = instance
  const owner = registrationAt(state, shard.owner)

  if (tenure !== undefined) yield raise(state, { rules, bounds }, i, tenure)
  if (isOwner(state, i) && tenure?.epoch !== shard.epoch) {
    yield { label: `${name} learns that it was given the shard`, next: begin(state, i) }
  }

  // Watchers cannot know whether a silent owner is dead, so it may happen at any time.
  const read = rules.asRead ? { shard, registration: owner } : instance.sighting
  if (!isOwner(state, i) && canMove(state, bounds) && read?.shard.epoch === shard.epoch) {
    const floor = rules.floor ? Math.max(shard.floor, read.registration.ceiling) : shard.floor
    const ownerStart = registrationAt(state, i).start
    const taken = { owner: i, ownerStart, epoch: shard.epoch + 1, floor }
    yield {
      label: `${name} takes the shard over: epoch ${taken.epoch}, floor ${floor}`,
      next: begin({ ...state, shard: taken }, i),
    }
    yield {
      label: `${name}'s takeover lands unheard: epoch ${taken.epoch}, floor ${floor}`,
      next: { ...state, shard: taken },
    }
  }
  if (!rules.asRead || !rules.fenceOrder) {
    const sighting = { shard, registration: owner }
    yield {
      label: `${name} reads the ring`,
      next: withInstance(state, i, { ...instance, sighting }),
    }
  }
}

function* releaseSteps(state: State, { rules, bounds }: Run, i: number): Generator<Step> {
  const name = nameOf(i)
  const { tenure, lastId } = instanceAt(state, i)
  if (tenure === undefined) return
  if (!tenure.isReleasing && tenure.epoch === state.shard.epoch && canMove(state, bounds)) {
    const floor = Math.max(lastId, tenure.floor)
    for (let to = 0; to < bounds.instances; to++) {
      if (to === i || isSpare(state, to) || isReleasePossible(state)) continue
      yield {
        label: `${name} stops giving out ids and sends a release to ${nameOf(to)}: floor ${floor}`,
        next: {
          ...withTenure(state, i, { ...tenure, isReleasing: true }),
          release: {
            from: i,
            fromSequence: registrationAt(state, i).sequence,
            to,
            toStart: registrationAt(state, to).start,
            shardEpoch: tenure.epoch,
            floor,
          },
        },
      }
    }
  }
  // With the rule it goes on once a raise was applied.
  if (!rules.release && tenure.isReleasing && isOwner(state, i)) {
    yield {
      label: `${name} reads the ring, is still the owner, and goes on`,
      next: withTenure(state, i, { ...tenure, isReleasing: false }),
    }
  }
}

/** Memory is gone, the ceiling stays, and the shard belongs to a start that is over. */
function* restartSteps(state: State, { bounds }: Run, i: number): Generator<Step> {
  const hasRole = instanceAt(state, i).tenure !== undefined || isOwner(state, i)
  if (!hasRole || state.restarts >= bounds.restarts) return
  const { start, sequence, ceiling } = registrationAt(state, i)
  const started = { start: start + 1, sequence: sequence + 1, ceiling }
  yield {
    label: `${nameOf(i)} dies and starts again`,
    next: {
      ...withInstance(breakAttachmentAt(state, i), i, idle),
      registrations: state.registrations.with(i, started),
      restarts: state.restarts + 1,
    },
  }
}

function isOwner({ shard, registrations }: State, i: number): boolean {
  return shard.owner === i && shard.ownerStart === registrations[i]?.start
}

function canMove({ shard }: State, bounds: Bounds): boolean {
  return shard.epoch <= bounds.moves
}

/** The heartbeat: one conditional write raises sequence and ceiling together. */
function raise(state: State, { rules, bounds }: Run, i: number, tenure: Tenure): Step {
  const name = nameOf(i)
  const hasMoved = tenure.epoch !== state.shard.epoch
  if (rules.raise && hasMoved) {
    return { label: `${name}'s raise fails: it lost the shard`, next: dropTenure(state, i) }
  }
  const registration = registrationAt(state, i)
  const highest = Math.max(instanceAt(state, i).lastId, tenure.floor)
  const raised: Registration = {
    ...registration,
    sequence: registration.sequence + 1,
    ceiling: Math.max(registration.ceiling, highest + bounds.lead),
  }
  const next = { ...state, registrations: state.registrations.with(i, raised) }
  const label = `${name} raises its ceiling to ${raised.ceiling}`
  if (!tenure.isReleasing) return { label, next }
  // From now on the release fails, unless it was applied before, which a read tells.
  if (hasMoved) return { label: `${label} and reads: lost`, next: dropTenure(next, i) }
  const going = withTenure(next, i, { ...tenure, isReleasing: false })
  return { label: `${label} and goes on`, next: going }
}

/** Batches of an earlier tenure stay; discarding them is left to their fence. */
function begin(before: State, i: number): State {
  const state = breakAttachmentAt(before, i)
  const { epoch, floor } = state.shard
  const tenure = { epoch, floor, fenced: 0, inherited: undefined, isReleasing: false }
  return withInstance(state, i, { ...instanceAt(state, i), tenure, sighting: undefined })
}

function dropTenure(before: State, i: number): State {
  const state = breakAttachmentAt(before, i)
  return withInstance(state, i, { ...idle, lastId: instanceAt(state, i).lastId })
}

export function isReleasePossible({ release, shard, registrations }: State): boolean {
  if (release === undefined) return false
  const sequence = registrations[release.from]?.sequence
  return release.shardEpoch === shard.epoch && release.fromSequence === sequence
}

// Append

function* appendSteps(state: State, run: Run, i: number): Generator<Step> {
  const { rules, bounds } = run
  const name = nameOf(i)
  const instance = instanceAt(state, i)
  const { tenure, batches } = instance

  if (tenure !== undefined && tenure.inherited === undefined) {
    const oldest = rules.predecessorOnly ? tenure.epoch - 1 : 1
    const isInherited = ({ epoch }: Row): boolean => epoch >= oldest && epoch < tenure.epoch
    const inherited = state.rows.filter(isInherited).map(asRow)
    yield {
      label: `${name} reads what was left before: ${textOf(inherited)}`,
      next: withTenure(state, i, { ...tenure, inherited }),
    }
  }

  if (tenure?.inherited !== undefined && !tenure.isReleasing) {
    const request = state.begun.length + 1
    if (request <= bounds.appends) {
      const acknowledged = Math.max(0, ...state.answers.map(({ row }) => row.id))
      const begun = { ...state, begun: [...state.begun, acknowledged] }
      yield* giveId(begun, run, i, tenure, request)
    }
    if (state.repeats < bounds.repeats) {
      for (let earlier = 1; earlier < request; earlier++) {
        yield* repeat(state, run, i, tenure, earlier)
      }
    }
  }

  if (!rules.repeat) {
    for (const [at, { row }] of batches.entries()) {
      yield {
        label: `${name}'s write of ${textOf([row])} times out and is forgotten`,
        next: withInstance(state, i, { ...instance, batches: batches.toSpliced(at, 1) }),
      }
    }
  }
  if (batches.some(({ row }) => isStored(state, row))) yield fence(state, rules, i)
}

/**
 * One write is in flight per inbox. The wall clock may say anything: the id is the next one, or as
 * far ahead as the ceiling allows.
 */
function* giveId(
  state: State,
  { rules }: Run,
  i: number,
  tenure: Tenure,
  request: number,
): Generator<Step> {
  const { lastId, batches } = instanceAt(state, i)
  if (batches.some(({ row, epoch }) => epoch === tenure.epoch && !isStored(state, row))) return
  const { ceiling } = registrationAt(state, i)
  const lowest = Math.max(lastId, tenure.floor) + 1
  const highest = rules.ceiling ? ceiling : Math.max(lowest, ceiling) + 2
  if (lowest > highest) return
  for (const id of new Set([lowest, highest])) {
    const row = { id, request, epoch: tenure.epoch }
    const given = withBatch(state, i, { row, epoch: tenure.epoch })
    yield {
      label: `${nameOf(i)} gives request ${request} the id ${id} and writes`,
      next: {
        ...withInstance(given, i, { ...instanceAt(given, i), lastId: id }),
        writes: [...state.writes, row],
        givenEpoch: Math.max(state.givenEpoch, tenure.epoch),
      },
    }
  }
}

/** The caller got no answer, whatever became of its request, and asks again, here or elsewhere. */
function* repeat(
  state: State,
  run: Run,
  i: number,
  tenure: Tenure,
  request: number,
): Generator<Step> {
  const isOfTenure = ({ row, epoch }: Batch): boolean =>
    row.request === request && epoch === tenure.epoch
  const { batches } = instanceAt(state, i)
  if (batches.some(isOfTenure) || state.answers.some(isOfTenure)) return
  const repeated = { ...state, repeats: state.repeats + 1 }
  const candidates = run.rules.inheritedRead ? tenure.inherited : state.rows
  const found = candidates?.find((row) => row.request === request)
  if (found === undefined) {
    yield* giveId(repeated, run, i, tenure, request)
    return
  }
  yield {
    label: `${nameOf(i)} gets request ${request} again and finds it: ${textOf([found])}`,
    next: withBatch(repeated, i, { row: asRow(found), epoch: tenure.epoch }),
  }
}

/** One read of the ring serves all commits that wait. Answers and pushes follow from it. */
function fence(state: State, rules: Rules, i: number): Step {
  const instance = instanceAt(state, i)
  const shard = rules.fenceOrder ? state.shard : instance.sighting?.shard
  const isOurs = (epoch: number): boolean => isOwned(rules, i, epoch, shard)
  const waiting = instance.batches.filter(({ row }) => isStored(state, row))
  const answered = waiting.filter(({ epoch }) => isOurs(epoch))

  const batches = instance.batches.filter((batch) => !waiting.includes(batch))
  let next = withInstance(state, i, { ...instance, batches })
  for (const { row, epoch } of answered) next = answer(next, rules, i, row, epoch)
  if (instance.tenure !== undefined && !isOurs(instance.tenure.epoch)) next = dropTenure(next, i)
  const outcome =
    answered.length > 0 ? `answers ${textOf(answered.map(({ row }) => row))}` : 'lost the shard'
  return { label: `${nameOf(i)} ${rules.fence ? 'reads the ring and ' : ''}${outcome}`, next }
}

function isOwned(rules: Rules, i: number, epoch: number, shard: Shard | undefined): boolean {
  if (!rules.fence) return true
  return rules.shardEpoch ? shard?.epoch === epoch : shard?.owner === i
}

function answer(state: State, rules: Rules, i: number, row: Row, epoch: number): State {
  const at = row.request - 1
  const isBelowEarlier = row.id < (state.begun[at] ?? 0)
  const given: Answer = { row, epoch, isBelowEarlier }
  const answers = [...state.answers, given].toSorted((a, b) => a.row.id - b.row.id)
  const next = { ...state, answers, begun: state.begun.with(at, 0) }
  const { tenure } = instanceAt(state, i)
  if (tenure === undefined || row.epoch !== tenure.epoch) return next
  const fenced = Math.max(tenure.fenced, row.id)
  return push(withTenure(next, i, { ...tenure, fenced }), rules, i, tenure.epoch, row.id)
}

/** Writes land in any order, or never, whatever became of their writers. */
function* landingSteps(state: State, { bounds }: Run): Generator<Step> {
  for (const row of state.writes) {
    const stored = { ...row, isLate: row.epoch < state.givenEpoch }
    const landed = {
      ...state,
      writes: state.writes.filter((other) => other !== row),
      rows: [...state.rows, stored].toSorted((a, b) => a.id - b.id),
    }
    const label = `the write of ${textOf([row])} lands`
    if (bounds.reader === 'pages') {
      const next = readPage(landed)
      yield { label: `${label}; the client pages, has seen ${next.seen.join(' ')}`, next }
    } else {
      yield { label, next: landed }
    }
  }
  const { release } = state
  if (release !== undefined && isReleasePossible(state)) {
    const { to: owner, toStart: ownerStart, floor } = release
    const epoch = release.shardEpoch + 1
    yield {
      label: `the release lands: ${nameOf(owner)} is given the shard, epoch ${epoch}`,
      next: { ...state, release: undefined, shard: { owner, ownerStart, epoch, floor } },
    }
  }
}

// Read

/**
 * A client without a socket pages whenever something landed: what a client that pages less often
 * misses, this one has missed before.
 */
function readPage(state: State): State {
  const since = state.seen.at(-1) ?? 0
  const page = state.rows.filter(({ id }) => id > since).map(({ id }) => id)
  return { ...state, seen: [...state.seen, ...page] }
}

/** Whoever takes itself for the owner accepts attachments. */
function* socketSteps(state: State, { rules }: Run): Generator<Step> {
  const { socket } = state
  if (socket?.attachment === undefined) {
    for (const owner of state.instances.keys()) yield* attach(state, rules, owner)
    return
  }

  // Also stands for a push that got lost, and for a cannon that hears of a new owner.
  yield { label: 'the attachment breaks', next: breakAttachment(state) }

  if (socket.mode === 'paging') {
    const next = goLive(readPage(state))
    yield { label: `the client reads a page and has seen ${next.seen.join(' ')}`, next }
  }
  if (socket.mode === 'gap') {
    const isBetween = ({ id }: Row): boolean => id > socket.position && id <= socket.until
    const gap = state.rows.filter(isBetween).map(({ id }) => id)
    const sent = gap.reduce(send, state)
    yield {
      label: `the cannon reads the rows between: ${gap.join(' ') || 'none'}`,
      next: goLive(movePosition(sent, socket.until)),
    }
  }
}

function* attach(state: State, rules: Rules, owner: number): Generator<Step> {
  const { tenure, lastId } = instanceAt(state, owner)
  if (tenure === undefined) return
  if (rules.readBeforeAttach && tenure.inherited === undefined) return
  const until = rules.attach ? tenure.fenced || tenure.floor : Math.max(lastId, tenure.floor)
  const attached = { attachment: { owner, epoch: tenure.epoch }, until, waiting: [] }
  const fresh = { ...attached, hasRepeated: false }
  const where = `at ${nameOf(owner)}, which answers ${until}`
  yield {
    label: `the client opens /await; its cannon attaches ${where}`,
    next: { ...state, socket: { ...fresh, position: until, mode: 'paging' } },
  }
  yield {
    label: `the client opens /events; its cannon attaches ${where}`,
    next: { ...state, socket: { ...fresh, position: state.seen.at(-1) ?? 0, mode: 'gap' } },
  }
  if (state.socket !== undefined) {
    yield {
      label: `the cannon attaches again ${where}`,
      next: { ...state, socket: { ...state.socket, ...attached, mode: 'gap' } },
    }
  }
}

/** A client that has not read its page yet starts over; else the socket waits for an attachment. */
function breakAttachment(state: State): State {
  const { socket } = state
  if (socket === undefined || socket.mode === 'paging') return { ...state, socket: undefined }
  const broken = { ...socket, attachment: undefined, until: 0, waiting: [] }
  return { ...state, socket: { ...broken, mode: 'live' } }
}

function breakAttachmentAt(state: State, owner: number): State {
  return state.socket?.attachment?.owner === owner ? breakAttachment(state) : state
}

/** Pushes that wait go out once what is older was read. A live socket gets its pushes at once. */
function goLive(state: State): State {
  const { socket } = state
  if (socket === undefined) return state
  const live: State = { ...state, socket: { ...socket, mode: 'live', until: 0, waiting: [] } }
  return socket.waiting.reduce(send, live)
}

function push(state: State, rules: Rules, i: number, epoch: number, id: number): State {
  const { socket } = state
  if (socket?.attachment?.owner !== i || socket.attachment.epoch !== epoch) return state
  if (id <= socket.until) return state
  if (rules.merge && id <= socket.position) return state
  if (socket.mode === 'live') return send(state, id)
  return { ...state, socket: { ...socket, waiting: [...socket.waiting, id] } }
}

function send(state: State, id: number): State {
  const { socket } = state
  if (socket === undefined) return state
  const hasRepeated = socket.hasRepeated || id <= socket.position
  const seen = state.seen.includes(id) ? state.seen : [...state.seen, id].toSorted((a, b) => a - b)
  return movePosition({ ...state, seen, socket: { ...socket, hasRepeated } }, id)
}

function movePosition(state: State, id: number): State {
  const { socket } = state
  if (socket === undefined) return state
  return { ...state, socket: { ...socket, position: Math.max(socket.position, id) } }
}

// Lines and words

const idle: Instance = { lastId: 0, tenure: undefined, batches: [], sighting: undefined }

function instanceAt(state: State, i: number): Instance {
  return state.instances[i] ?? idle
}

function registrationAt(state: State, i: number): Registration {
  return state.registrations[i] ?? { start: 0, sequence: 0, ceiling: 0 }
}

function withInstance(state: State, i: number, instance: Instance): State {
  return { ...state, instances: state.instances.with(i, instance) }
}

function withTenure(state: State, i: number, tenure: Tenure): State {
  return withInstance(state, i, { ...instanceAt(state, i), tenure })
}

function withBatch(state: State, i: number, batch: Batch): State {
  const instance = instanceAt(state, i)
  return withInstance(state, i, { ...instance, batches: [...instance.batches, batch] })
}

function isStored(state: State, { id, request, epoch }: Row): boolean {
  return state.rows.some((r) => r.id === id && r.request === request && r.epoch === epoch)
}

function asRow({ id, request, epoch }: Row): Row {
  return { id, request, epoch }
}

function nameOf(instance: number): string {
  return 'ABC'.charAt(instance)
}

function textOf(rows: readonly Row[]): string {
  return rows.map(({ id, request }) => `${id} (request ${request})`).join(', ') || 'nothing'
}
