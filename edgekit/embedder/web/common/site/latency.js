// How long a run takes here, by this browser's own clock.

const WARM_UP = 10;
const MOST_SAMPLES = 200;
const LONGEST_MS = 1000;
/** Ticks of the clock in a sample, so that its coarseness is a twentieth at most. */
const TICKS = 20;

/**
 * Time runs one after the other. Where a run is shorter than the clock can tell, a sample is the
 * mean of several.
 * @param {() => Promise<unknown>} run
 */
export async function measure(run) {
  const once = await timed(run, WARM_UP);
  const group = Math.max(1, Math.ceil((TICKS * tick()) / Math.max(once, 1e-4)));
  const samples = [];
  const end = performance.now() + LONGEST_MS;
  while (samples.length < MOST_SAMPLES && (performance.now() < end || samples.length < 5)) {
    samples.push(await timed(run, group));
  }
  samples.sort((one, other) => one - other);
  const at = (share) => samples[Math.min(samples.length - 1, Math.floor(share * samples.length))];
  return { p50: at(0.5), p90: at(0.9), samples: samples.length, group, warmUp: WARM_UP };
}

/** Give the mean time of some runs, in milliseconds. */
async function timed(run, runs) {
  const start = performance.now();
  for (let i = 0; i < runs; i++) await run();
  return (performance.now() - start) / runs;
}

/** Give the step of the clock in milliseconds: browsers make it coarse, to keep secrets. */
function tick() {
  let least = Infinity;
  for (let i = 0; i < 5; i++) {
    const start = performance.now();
    let now = start;
    while (now === start) now = performance.now();
    least = Math.min(least, now - start);
  }
  return least;
}
