// What the process remembers of its figures, so that a page that is opened late has lines too.

/** How far back lines of figures go, in seconds. */
export const DAY = 24 * 3600;

/**
 * What figures showed before the page was there: by title and first family, as `idOf` puts them together.
 * @typedef {Map<string, {times: number[], lines: (number|null)[][]}>} Memory
 */

/** Asks the process; null where it remembers nothing, by its settings or because it is of an earlier edition. */
export async function readMemory() {
  const response = await fetch('history', { cache: 'no-store' });
  return response.ok ? parse(await response.arrayBuffer()) : null;
}

export function idOf(figure, needs) {
  return `${figure}\n${needs}`;
}

/**
 * Reads the file: a line of JSON, then for each span and in that for each line its values.
 * @param {ArrayBuffer} file
 * @returns {Memory}
 */
export function parse(file) {
  const bytes = new Uint8Array(file);
  const end = bytes.indexOf(10) + 1;
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(0, end)));
  if (header.schema !== 1) return new Map();
  const values = new DataView(file, end);
  let at = 0;
  const spans = header.spans.map((span) => ({
    ...span,
    lines: header.lines.map(() => {
      const line = Array.from({ length: span.count }, (_, index) => plain(values.getFloat32(at + 4 * index, true)));
      at += 4 * span.count;
      return line;
    }),
  }));
  return joined(header.lines, spans);
}

/** One list of times for each figure: the coarse span up to where the fine one begins. */
function joined(lines, spans) {
  const memory = new Map();
  const [fine] = spans;
  const pieces = [...spans].reverse().map((span) => {
    const until = span === fine ? Infinity : fine.first;
    // A step of many seconds holds what came last in it.
    const times = Array.from({ length: span.count }, (_, index) => span.first + span.step * (index + 1) - 1);
    const count = times.findIndex((time) => time >= until);
    return { ...span, times, count: count < 0 ? times.length : count };
  });
  const times = pieces.flatMap((piece) => piece.times.slice(0, piece.count));
  lines.forEach(({ figure, needs, line }, number) => {
    const id = idOf(figure, needs);
    if (!memory.has(id)) memory.set(id, { times, lines: [] });
    memory.get(id).lines[line] = pieces.flatMap((piece) => piece.lines[number].slice(0, piece.count));
  });
  return memory;
}

function plain(value) {
  return Number.isFinite(value) ? value : null;
}
