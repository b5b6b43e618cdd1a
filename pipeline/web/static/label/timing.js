// Arithmetic on the times of frames, in seconds, which increase.

// The number of the frame that is shown at a time: the last one that begins by then.
export function shownAt(times, seconds) {
  let low = 0;
  let high = times.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (times[middle] <= seconds + 1e-6) low = middle;
    else high = middle - 1;
  }
  return Math.max(0, low);
}

// The number of the frame whose time is nearest.
export function nearest(times, seconds) {
  const before = shownAt(times, seconds);
  const after = Math.min(before + 1, times.length - 1);
  return times[after] - seconds < seconds - times[before] ? after : before;
}

// 83.5 as 1:23.500.
export function clock(seconds) {
  const thousandths = Math.round(seconds * 1000);
  const minutes = Math.floor(thousandths / 60000);
  const rest = ((thousandths % 60000) / 1000).toFixed(3).padStart(6, "0");
  return minutes < 60 ? `${minutes}:${rest}` : `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${rest}`;
}
