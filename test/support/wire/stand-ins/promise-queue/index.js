// Stands in for a package that Wire's core imports and no registry carries: a queue that runs
// asynchronous functions, `concurrent` at a time, and can be paused. Core asks of it what is here:
// a flushed entry rejects with the cause FLUSHED, and TIMEOUT exists because core compares with it.
'use strict'

class PromiseQueue {
  static ERROR_CAUSES = { TIMEOUT: 'TIMEOUT', FLUSHED: 'FLUSHED' }

  constructor(options = {}) {
    this.concurrent = options.concurrent ?? 1
    this.paused = options.paused ?? false
    this.waiting = []
    this.running = 0
  }

  push(fn) {
    return new Promise((resolve, reject) => {
      this.waiting.push({ fn, resolve, reject })
      this.next()
    })
  }

  next() {
    while (!this.paused && this.running < this.concurrent && this.waiting.length > 0) {
      const { fn, resolve, reject } = this.waiting.shift()
      this.running += 1
      Promise.resolve()
        .then(fn)
        .then(resolve, reject)
        .finally(() => {
          this.running -= 1
          this.next()
        })
    }
  }

  pause(isPaused = true) {
    this.paused = isPaused
    this.next()
    return this
  }

  resume() {
    return this.pause(false)
  }

  isPaused() {
    return this.paused
  }

  flush() {
    const dropped = this.waiting
    this.waiting = []
    for (const { reject } of dropped) {
      reject(new Error('The queue was flushed', { cause: PromiseQueue.ERROR_CAUSES.FLUSHED }))
    }
    return this
  }

  hasRunningTasks() {
    return this.running > 0
  }

  getLength() {
    return this.waiting.length + this.running
  }
}

module.exports = { PromiseQueue }
