import { ticksOfMs } from '../../../platform/time-uuid.ts'

/** The ceiling lies at most so far above the id clock, so that a successor starts near it. */
export const aheadTicks = ticksOfMs(2000) - ticksOfMs(0)
