// When somebody should look at a metric, by what the catalogue declares: alarms and limits of figures, and objectives.
//
// Rules of a Prometheus are in no catalogue; what reads a metric there is listed by the page of several services.

import { readingOf } from './figures.js';
import { formatBound, percentile } from './format.js';

const COMPARISONS = { above: 'above', at_least: 'at or above', below: 'below', at_most: 'at or below' };

/**
 * What a figure turns red by, where that reads this metric; and what its objective is.
 * @param {string} name
 * @param {import('./figures.js').Context} context
 * @param {import('./history.js').Layout} layout
 * @returns {[string, string][]} a term and what is said of it; conditions of a kind that is not known here are left out
 */
export function conditionsOf(name, context, layout) {
  const families = [...context.families.values()];
  const own = context.families.get(name);
  const objective = own?.objective ? [['Objective', promiseOf(own)]] : [];
  const paused = families.filter(({ objective }) => objective?.during === name);
  const figures = context.groups.flatMap(({ figures }) => figures ?? []);
  return [
    ...objective,
    ...paused.map((family) => ['Objective', `of ${family.name}: ${promiseOf(family)}`]),
    ...figures.flatMap((figure) => {
      const conditions = [...alarmsOf(figure, name, context, layout), ...limitsOf(figure, name)];
      return conditions.map((condition) => ['Alarm', `“${figure.title}” is red while ${condition}`]);
    }),
  ];
}

function alarmsOf({ alarms }, name, context, layout) {
  const reads = ({ value, is }) => value?.families?.includes(name) && COMPARISONS[is];
  return (alarms ?? []).filter(reads).flatMap(({ value, is, than }) => {
    const reading = readingOf(value, context, layout);
    const subject = reading && subjectOf(value, is, name, context);
    return subject ? [`${subject} is ${COMPARISONS[is]} ${formatBound(than, reading.unit)}`] : [];
  });
}

/** Bars are red where they are full. */
function limitsOf({ shows, by, value, limit }, name) {
  if (shows !== 'bars' || !value?.families || !limit?.families) return [];
  const each = `for any ${by.replaceAll('_', ' ')}`;
  if (value.families.includes(name)) return [`its value ${each} is at or above ${limit.families.join(' and ') || limit.number}`];
  return limit.families.includes(name) ? [`${value.families.join(' and ')} ${each} is at or above this`] : [];
}

/** What is compared, or nothing where it is no number. */
function subjectOf({ read, families, labels, level }, is, name, context) {
  const isOne = context.families.get(name)?.labels?.length === 0 && families.length === 1;
  const others = families.filter((other) => other !== name);
  const pairs = Object.entries(labels ?? {}).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
  const of = (pairs.length ? ` with ${pairs.join(', ')}` : '') + (others.length ? `, together with ${others.join(' and ')},` : '');
  const isUp = is === 'above' || is === 'at_least';
  switch (read) {
    case 'sum':
      return isOne ? 'it' : `the sum of its series${of}`;
    // The least is below a bound where any is, and above it where all are.
    case 'least':
      return isOne ? 'it' : `${isUp ? 'each' : 'any'} of its series${of}`;
    case 'most':
      return isOne ? 'it' : `${isUp ? 'any' : 'each'} of its series${of}`;
    case 'rate':
      return `its rate${of}`;
    case 'series':
      return `the number of its series${of}`;
    case 'quantile':
      return `its ${percentile(level)}${of}`;
    default:
      return null;
  }
}

/** What is promised of a family's events or observations. */
function promiseOf({ objective, unit }) {
  const { percent, days, under, label, good, during } = objective;
  const isBound = under !== null && under !== undefined;
  const what = isBound ? `at or below ${formatBound(under, unit)}` : label ? `with ${label} ${good.join(' or ')}` : 'good';
  return `${percent} % ${what}, over ${days} ${days === 1 ? 'day' : 'days'}${during ? `, while ${during} is 1` : ''}`;
}
