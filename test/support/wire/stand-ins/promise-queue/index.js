// Stands in for a package that Wire's core imports and no registry carries: a queue that runs
// asynchronous functions, `concurrent` at a time, and can be paused.
'use strict'
class PromiseQueue {
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
      Promise.resolve().then(fn).then(resolve, reject).finally(() => {
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
    this.waiting = []
    return this
  }
  getLength() {
    return this.waiting.length + this.running
  }
}
module.exports = { PromiseQueue }
