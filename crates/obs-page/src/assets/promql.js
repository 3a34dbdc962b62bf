// What a sheet shows, as a query for Prometheus.

/** Over how long a query takes rates: long enough for any usual interval between two scrapes. */
const WINDOW = '5m';

/**
 * @param {Object} shown
 * @param {string} shown.name
 * @param {string} shown.kind
 * @param {[string, string][]} shown.where labels that the series have
 * @param {string|null} shown.by the label by which they are told apart; all together without one
 * @param {number} [shown.level] of the quantile of a histogram
 * @returns {string}
 */
export function promql({ name, kind, where, by, level = 0.95 }) {
  const labels = where.map(([key, value]) => `${key}=${quoted(value)}`).join(', ');
  const series = (suffix) => name + suffix + (labels ? `{${labels}}` : '');
  const sum = (keys, inner) => (keys.length ? `sum by (${keys.join(', ')}) (${inner})` : `sum(${inner})`);
  const keys = by ? [by] : [];
  switch (kind) {
    case 'counter':
      return sum(keys, `rate(${series('')}[${WINDOW}])`);
    case 'histogram':
      return `histogram_quantile(${level}, ${sum(['le', ...keys], `rate(${series('_bucket')}[${WINDOW}])`)})`;
    case 'gauge':
      return by ? sum(keys, series('')) : series('');
    default:
      return series('');
  }
}

function quoted(value) {
  const escaped = value.replace(/[\\"\n]/g, (character) => (character === '\n' ? '\\n' : `\\${character}`));
  return `"${escaped}"`;
}
