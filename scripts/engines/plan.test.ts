import { describe, expect, it } from 'vitest'
import { checkNetwork, nodesOf } from './layout.ts'
import { parsePlan, settlePlan } from './plan.ts'

const found = { network: '127.77.5', nodes: 3, isSecure: false } as const

describe('the plan of a directory', () => {
  it('is one plain node on the first network if nobody says otherwise', () => {
    expect(settlePlan(undefined, {}, '/d')).toEqual({
      network: '127.77.0',
      nodes: 1,
      isSecure: false,
    })
  })

  it('is what was found when nothing else is asked for', () => {
    expect(settlePlan(found, {}, '/d')).toEqual(found)
    expect(settlePlan(found, { nodes: 3 }, '/d')).toEqual(found)
  })

  it('does not become another one without a reset', () => {
    expect(() => settlePlan(found, { nodes: 1, isSecure: true }, '/d')).toThrow(
      /nodes 3, not 1 and isSecure false, not true.*reset/,
    )
  })

  it('is refused when it is torn', () => {
    expect(parsePlan(JSON.stringify(found), 'plan.json')).toEqual(found)
    expect(() => parsePlan('{"network":', 'plan.json')).toThrow(/plan\.json is not JSON/)
    expect(() => parsePlan('{"nodes":2}', 'plan.json')).toThrow(/plan\.json is not well-formed/)
  })
})

describe('the network', () => {
  it('is a loopback network and nothing else', () => {
    expect(checkNetwork('127.77.0')).toBe('127.77.0')
    for (const wrong of ['10.0.0', '127.0.0.1', '127.256.1', '127.1', '127.01.1', '']) {
      expect(() => checkNetwork(wrong)).toThrow(/not a loopback network/)
    }
  })

  it('gives a node the same address for every engine', () => {
    const options = { network: '127.77.9', directory: '/d', nodes: 3 }
    expect(nodesOf('etcd', options).map((node) => node.address)).toEqual([
      '127.77.9.1',
      '127.77.9.2',
      '127.77.9.3',
    ])
    expect(nodesOf('redis', options)[2]?.directory).toBe('/d/redis3')
  })
})
