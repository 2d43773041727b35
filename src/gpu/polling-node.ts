import type { CallDawn } from './gpu.ts';

/** A wait shorter than this is polled for without pause: a batch on a GPU may take no longer. */
const eagerMs = 1;
/** Pause between polls of a longer one. */
const pauseMs = 1;

/**
 * dawn.node looks for finished work from one `setImmediate` to the next for as long as a promise of its is pending. That keeps a
 * core busy, and on a software adapter the kernels want that core: with two cores a batch took half as long again. This makes
 * calls into Dawn during which `setImmediate`, which dawn.node looks up each time, is a patient one; nobody else sees it.
 */
export function politeDawn(): CallDawn {
  const { setImmediate: soon } = globalThis;
  let waitingSince: number | undefined;
  let asked = false;
  const later = (tick: () => void) => {
    asked = true;
    waitingSince ??= performance.now();
    const poll = () => {
      asked = false;
      call(tick);
      // A poll that asks for no other one was the last: the next wait begins anew.
      if (!asked) waitingSince = undefined;
    };
    if (performance.now() - waitingSince < eagerMs) soon(poll);
    else setTimeout(poll, pauseMs);
  };
  const call: CallDawn = (work) => {
    const { setImmediate: own } = globalThis;
    globalThis.setImmediate = later as typeof setImmediate;
    try {
      return work();
    } finally {
      globalThis.setImmediate = own;
    }
  };
  return call;
}
