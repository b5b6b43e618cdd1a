// Spans of time, [start, end] in seconds.

export function round(seconds) {
  return Math.round(seconds * 1000) / 1000;
}

export function endOf(event) {
  return event.end ?? event.start;
}

// The same time in spans that do not touch, in order.
export function merged(spans) {
  const found = [];
  for (const [start, end] of [...spans].sort((one, other) => one[0] - other[0])) {
    const last = found[found.length - 1];
    if (last && start <= last[1]) last[1] = Math.max(last[1], end);
    else found.push([start, end]);
  }
  return found;
}

export function spanOf(event) {
  return [event.start, endOf(event)];
}

export function hasLength([start, end]) {
  return end > start;
}

export function holds(spans, seconds) {
  return spans.some(([start, end]) => start <= seconds && seconds <= end);
}

// The share of two events' time that they have in common.
export function overlap(one, other) {
  const common = Math.min(endOf(one), endOf(other)) - Math.max(one.start, other.start);
  return Math.max(0, common) / Math.max(endOf(one) - one.start + endOf(other) - other.start - common, 1e-9);
}
