// The last minute of every stream, for the graphs: taken from live events, whichever screen is open.

/** How many looks are kept; there is one each second. */
export const LOOKS = 60;

const series = new Map();

/** What a stream is told apart by. */
export function streamKey(call, leg, stream) {
  return `${call.id}/${leg}/${stream.direction}/${stream.id}`;
}

/** Takes a look at everything that flows. */
export function look(live) {
  const seen = new Set();
  for (const call of callsOf(live)) {
    call.legs.forEach((leg, index) => {
      for (const stream of leg.streams) {
        const key = streamKey(call, index, stream);
        seen.add(key);
        const looks = series.get(key) ?? [];
        looks.push({ bps: stream.bps, loss: stream.loss_percent, jitter: stream.jitter_ms });
        if (looks.length > LOOKS) looks.shift();
        series.set(key, looks);
      }
    });
  }
  for (const key of series.keys()) if (!seen.has(key)) series.delete(key);
}

/** What was seen of a stream, the oldest first. */
export function looksAt(key) {
  return series.get(key) ?? [];
}

/** Every call there is. */
export function callsOf(live) {
  return [...live.conferences.flatMap((conference) => conference.calls), ...live.unrouted];
}
