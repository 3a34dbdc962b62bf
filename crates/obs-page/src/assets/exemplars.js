// The traces that observations were made in, from the OpenMetrics text: the classic one has none.

/**
 * @param {string} text
 * @param {string} name of the family
 * @returns {{trace: string, value: number, at: number|null}[]} the latest first
 */
export function exemplarsOf(text, name) {
  const found = new Map();
  for (const line of text.split('\n')) {
    if (!line.startsWith(`${name}_bucket{`) && !line.startsWith(`${name}_total`)) continue;
    const exemplar = / # \{trace_id="([0-9a-f]+)"[^}]*\} (\S+)(?: (\S+))?$/.exec(line);
    if (!exemplar) continue;
    const [, trace, value, at] = exemplar;
    found.set(`${trace} ${value}`, { trace, value: Number(value), at: at === undefined ? null : Number(at) });
  }
  return [...found.values()].sort((a, b) => (b.at ?? 0) - (a.at ?? 0));
}

/** Asks the process for them; none where it has none to give. */
export async function readExemplars(name) {
  const accept = 'application/openmetrics-text; version=1.0.0';
  const response = await fetch('metrics', { cache: 'no-store', headers: { accept } });
  return response.ok ? exemplarsOf(await response.text(), name) : [];
}
