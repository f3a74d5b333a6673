import { errors, types } from 'cassandra-driver'
import { describe, expect, it } from 'vitest'
import { Unavailable, UnknownOutcome } from '../../contract/error.ts'
import { translate } from './failure.ts'

const { responseErrorCodes: codes } = types
const response = (code: number) => new errors.ResponseError(code, 'as the node said')
const noHost = (inner: Record<string, unknown>) => new errors.NoHostAvailableError(inner)
const timedOut = () => new errors.OperationTimedOutError('no reply', '10.0.0.1:9042')
const socket = (isWritten: boolean) =>
  Object.assign(new Error('Socket was closed'), {
    isSocketError: true,
    ...(isWritten ? {} : { requestNotWritten: true }),
  })

describe('a write that failed', () => {
  it.each([
    ['timed out at the replicas', response(codes.writeTimeout)],
    ['failed at some replica', response(codes.writeFailure)],
    ['was too much for the coordinator, which may have asked some', response(codes.overloaded)],
    ['met a defect of the node', response(codes.serverError)],
    ['was not answered', timedOut()],
    ['lost its connection', socket(true)],
    ['was not answered by the first of two nodes', noHost({ a: timedOut(), b: 'down' })],
    ['met something nobody knows', new Error('?')],
  ])('and %s has an unknown outcome', (_, error) => {
    const translated = translate(error, 'write', 'put')
    expect(translated).toBeInstanceOf(UnknownOutcome)
    expect(translated.cause).toBe(error)
  })

  it.each([
    ['found too few replicas', response(codes.unavailableException)],
    ['came while the node started', response(codes.isBootstrapping)],
    ['was not allowed', response(codes.unauthorized)],
    ['found no node', noHost({})],
    ['found only nodes that are down', noHost({ a: 'Host considered as DOWN' })],
    ['found all connections busy', noHost({ a: new errors.BusyConnectionError('a', 2048, 1) })],
    ['never left', socket(false)],
    ['could not log in', noHost({ a: new errors.AuthenticationError('no') })],
  ])('and %s was not done', (_, error) => {
    const translated = translate(error, 'write', 'put')
    expect(translated).toBeInstanceOf(Unavailable)
    expect(translated).not.toBeInstanceOf(UnknownOutcome)
  })

  it.each([
    ['breaks the grammar', response(codes.syntaxError)],
    ['names what does not exist', response(codes.invalid)],
    ['cannot be encoded', new TypeError('not a value')],
  ])('because it %s can never succeed', (_, error) => {
    expect(translate(error, 'write', 'put')).toBeInstanceOf(TypeError)
  })
})

describe('a read that failed', () => {
  it.each([
    ['timed out at the replicas', response(codes.readTimeout)],
    ['was not answered', timedOut()],
    ['failed at some replica', response(codes.readFailure)],
  ])('and %s may be tried again', (_, error) => {
    const translated = translate(error, 'read', 'get')
    expect(translated).toBeInstanceOf(Unavailable)
    expect(translated).not.toBeInstanceOf(UnknownOutcome)
  })

  it('says what each node answered', () => {
    const error = noHost({
      '10.0.0.1:9042': timedOut(),
      '10.0.0.2:9042': 'Host considered as DOWN',
    })
    expect(translate(error, 'read', 'Cassandra').message).toBe(
      'Cassandra: 10.0.0.1:9042: no reply; 10.0.0.2:9042: Host considered as DOWN',
    )
  })
})
