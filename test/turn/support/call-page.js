/**
 * Runs in the page: one call, from the first offer to the figures at its end. `calls.ts` has the
 * shapes of what goes in and comes out.
 */
globalThis.makeCall = async ({ iceServers, seconds, messagesPerSecond }) => {
  const sides = iceServers.map(
    (server) => new RTCPeerConnection({ iceServers: [server], iceTransportPolicy: 'relay' }),
  )
  const [caller, callee] = sides
  const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
  const problems = []
  let interruptions = 0
  let failures = 0
  for (const [index, side] of sides.entries()) {
    let wasConnected = false
    side.addEventListener('icecandidate', ({ candidate }) => {
      if (candidate !== null) void sides[1 - index].addIceCandidate(candidate)
    })
    side.addEventListener('icecandidateerror', ({ errorCode, errorText, url }) => {
      problems.push(`${errorCode} ${errorText} ${url}`)
    })
    side.addEventListener('connectionstatechange', () => {
      if (side.connectionState === 'connected') wasConnected = true
      else if (wasConnected && side.connectionState !== 'closed') interruptions += 1
      if (side.connectionState === 'failed') failures += 1
    })
  }

  const media = await navigator.mediaDevices.getUserMedia({ audio: true, video: true })
  for (const track of media.getTracks()) caller.addTrack(track, media)

  const total = { sent: 0, received: 0, isInOrder: true }
  const channels = []
  const watch = (channel) => {
    let next = 0
    channel.addEventListener('message', ({ data }) => {
      if (Number(data.split(' ')[0]) !== next) total.isInOrder = false
      next += 1
      total.received += 1
    })
    channels.push(channel)
  }
  watch(caller.createDataChannel('test'))
  callee.addEventListener('datachannel', ({ channel }) => watch(channel))

  await caller.setLocalDescription()
  await callee.setRemoteDescription(caller.localDescription)
  for (const transceiver of callee.getTransceivers()) {
    transceiver.direction = 'sendrecv'
    const track = media.getTracks().find(({ kind }) => kind === transceiver.receiver.track.kind)
    await transceiver.sender.replaceTrack(track.clone())
  }
  await callee.setLocalDescription()
  await caller.setRemoteDescription(callee.localDescription)

  const areOpen = () =>
    channels.length === 2 && channels.every((each) => each.readyState === 'open')
  for (let waitedMs = 0; !areOpen(); waitedMs += 100) {
    if (waitedMs > 60_000) {
      const states = sides.map((each) => each.iceConnectionState).join()
      throw new Error(`not connected: ${states} ${problems.join('; ')}`)
    }
    await sleep(100)
  }

  const filler = 'x'.repeat(200)
  const startMs = performance.now()
  const passedMs = () => performance.now() - startMs
  for (let number = 0; passedMs() < seconds * 1000; await sleep(20)) {
    for (; number < (passedMs() / 1000) * messagesPerSecond; number += 1) {
      for (const channel of channels) {
        channel.send(`${number} ${filler}`)
        total.sent += 1
      }
    }
  }
  for (let waitedMs = 0; total.received < total.sent && waitedMs < 20_000; waitedMs += 50) {
    await sleep(50)
  }

  const candidateTypes = new Set()
  const relayProtocols = new Set()
  const counted = { audioPacketsReceived: 0, videoFramesDecoded: 0, lost: 0, packets: 0 }
  for (const side of sides) {
    const stats = await side.getStats()
    for (const each of stats.values()) {
      if (each.type === 'transport') {
        const pair = stats.get(each.selectedCandidatePairId)
        const local = stats.get(pair.localCandidateId)
        candidateTypes.add(local.candidateType).add(stats.get(pair.remoteCandidateId).candidateType)
        relayProtocols.add(local.relayProtocol)
      }
      if (each.type === 'inbound-rtp') {
        counted.lost += Math.max(0, each.packetsLost)
        counted.packets += each.packetsReceived
        if (each.kind === 'audio') counted.audioPacketsReceived += each.packetsReceived
        else counted.videoFramesDecoded += each.framesDecoded
      }
    }
  }
  for (const side of sides) side.close()
  for (const track of media.getTracks()) track.stop()
  return {
    ...total,
    candidateTypes: [...candidateTypes],
    relayProtocols: [...relayProtocols],
    audioPacketsReceived: counted.audioPacketsReceived,
    videoFramesDecoded: counted.videoFramesDecoded,
    mediaLoss: counted.lost / Math.max(1, counted.packets + counted.lost),
    interruptions,
    failures,
  }
}
