// Draws one dashboard of deploy/grafana/dashboards with Grafana's own components, from a Prometheus.
//
// `/?d=main&theme=dark&prom=http://127.0.0.1:9090&min=15&w=1600&mode=live`: the variables of the dashboard are parameters too, and
// have what the dashboard chooses at first without them. What was drawn is in `window.report` once every panel is there: a
// line for each, which the tests read.
//
// Grafana publishes no heat map and no state timeline: those two are drawn here, and say so.

import React from 'react';
import { createRoot } from 'react-dom/client';
import {
  createTheme, toDataFrame, FieldType, ThemeContext, getDisplayProcessor, transformDataFrame, standardTransformersRegistry,
  standardTransformers, getFieldDisplayName, dateTime,
} from '@grafana/data';
import { TimeSeries, BigValue, BarGauge, Table, PanelChrome, GlobalStyles } from '@grafana/ui';

const asked = new URLSearchParams(location.search);
const theme = createTheme({ colors: { mode: asked.get('theme') || 'dark' } });
const prometheus = asked.get('prom');
const minutes = Number(asked.get('min') || 15);
const end = Number(asked.get('end') || Date.now() / 1000);
const start = end - minutes * 60;
const width = Number(asked.get('w') || 1600);
const step = Math.max(15, Math.ceil((end - start) / 500 / 15) * 15);

standardTransformersRegistry.setInit(() =>
  [...new Map(Object.values(standardTransformers).map((t) => [t.id, t])).values()].map((t) => ({
    id: t.id, name: t.name, transformation: t, editor: () => null, imageDark: '', imageLight: '',
  })),
);

const board = await (await fetch(`/dashboards/${asked.get('d') || 'main'}.json`)).json();
// What is folded is drawn open: its panels are to be seen as well.
const panels = board.panels.flatMap((panel) => (panel.panels?.length ? opened(panel) : [panel]));
function opened(row) {
  return [row, ...row.panels.map((panel) => ({ ...panel, isFolded: true }))];
}
// Grafana gives the first step of the thresholds no bound below.
for (const panel of panels) {
  const steps = panel.fieldConfig?.defaults?.thresholds?.steps;
  if (steps?.length) steps[0].value = -Infinity;
}

const chosen = Object.fromEntries(
  board.templating.list.filter((v) => v.type === 'query').map((v) => [v.name, asked.get(v.name) ?? first(v)]),
);
function first(variable) {
  const value = variable.current.value[0];
  return value === '$__all' ? variable.allValue : value;
}
const heading = Object.entries(chosen).map(([name, value]) => `${name}: ${value === '.*' ? 'All' : value}`).join('   ');

function filledIn(query) {
  let text = query
    .replaceAll('$__rate_interval', `${Math.max(step + 15, 60)}s`)
    .replaceAll('$__range', `${minutes * 60}s`)
    .replaceAll('$__interval', `${step}s`);
  for (const [name, value] of Object.entries(chosen)) text = text.replaceAll(`$${name}`, value);
  return text;
}
function number(text) {
  return { NaN: NaN, '+Inf': Infinity, '-Inf': -Infinity }[text] ?? Number(text);
}
async function ask(target) {
  const query = encodeURIComponent(filledIn(target.expr));
  const url = target.instant
    ? `${prometheus}/api/v1/query?time=${end}&query=${query}`
    : `${prometheus}/api/v1/query_range?start=${start}&end=${end}&step=${step}&query=${query}`;
  const answer = await (await fetch(url)).json();
  if (answer.status !== 'success') throw new Error(answer.error);
  return answer.data.result;
}
async function load(panel) {
  const results = await Promise.all(panel.targets.map(ask));
  return results.flatMap((result, i) =>
    result.map((series) => ({
      target: panel.targets[i], labels: series.metric, values: series.values || [series.value].filter(Boolean), histograms: series.histograms,
    })),
  );
}
function legend(format, labels) {
  return format ? format.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, key) => labels[key] ?? '') : 'Value';
}

/** Each series at every step, with null where it has nothing. */
function stepped(rows) {
  return rows.map(({ target, labels, values }) => {
    const at = new Map(values.map(([time, value]) => [Math.round(time), number(value)]));
    const times = [];
    if (target.instant) times.push(...at.keys());
    else times.push(...steps());
    return {
      target, labels, name: legend(target.legendFormat, labels),
      times: times.map((time) => time * 1000), values: times.map((time) => at.get(time) ?? null),
    };
  });
}
function dressed(frame, defaults, custom) {
  frame.fields.forEach((field, i) => {
    const own = field.type === FieldType.number ? defaults : {};
    field.config = { ...own, ...field.config, custom: { ...custom, ...defaults.custom, ...field.config.custom } };
    field.state = { ...field.state, seriesIndex: i };
    field.display = getDisplayProcessor({ field, theme, timeZone: 'utc' });
  });
  return frame;
}
/** What Grafana's plugin fills in where a dashboard leaves it out. */
const GRAPH = {
  drawStyle: 'line', lineInterpolation: 'linear', barAlignment: 0, lineWidth: 1, fillOpacity: 0, gradientMode: 'none', pointSize: 5,
  showPoints: 'auto', spanNulls: false, axisPlacement: 'auto', axisLabel: '', axisColorMode: 'text', axisBorderShow: false,
  axisCenteredZero: false, scaleDistribution: { type: 'linear' }, hideFrom: { legend: false, tooltip: false, viz: false },
  insertNulls: false, stacking: { mode: 'none', group: 'A' }, thresholdsStyle: { mode: 'off' }, lineStyle: { fill: 'solid' },
};

const Nothing = ({ text = 'No data' }) => (
  <div data-nothing style={{ color: theme.colors.text.secondary, display: 'flex', alignItems: 'center', justifyContent: 'center', height: '100%' }}>
    {text}
  </div>
);
function Lines({ panel, rows, w, h }) {
  const series = stepped(rows);
  const frames = series.map(({ target, labels, name, times, values }, i) => {
    const fields = [
      { name: 'Time', type: FieldType.time, values: times, config: {} },
      { name: 'Value', type: FieldType.number, values, labels, config: { displayNameFromDS: name } },
    ];
    const frame = dressed(toDataFrame({ refId: target.refId, fields }), panel.fieldConfig.defaults, GRAPH);
    frame.fields[1].state = { seriesIndex: i };
    return frame;
  });
  const range = { from: dateTime(start * 1000), to: dateTime(end * 1000), raw: { from: 'now-1h', to: 'now' } };
  return (
    <TimeSeries frames={frames} structureRev={1} width={w} height={h} timeZone="utc" timeRange={range} legend={panel.options.legend} options={panel.options} />
  );
}
function shown(panel, { labels, name, values }) {
  const fields = [{ name: 'Value', type: FieldType.number, values, labels, config: { displayNameFromDS: name } }];
  const field = dressed(toDataFrame({ fields }), panel.fieldConfig.defaults, {}).fields[0];
  const value = field.display(values.at(-1));
  value.title = name;
  return { value, field };
}
function Stat({ panel, rows, w, h }) {
  const { colorMode, textMode, justifyMode, wideLayout } = panel.options;
  const series = stepped(rows);
  const all = series.length
    ? series.map((one) => shown(panel, one).value)
    : [{ text: panel.fieldConfig.defaults.noValue, numeric: NaN, color: '#808080' }];
  return (
    <div style={{ display: 'flex' }}>
      {all.map((value, i) => (
        <BigValue key={i} theme={theme} width={w / all.length - 2} height={h} value={value} colorMode={colorMode} graphMode="none" textMode={textMode} justifyMode={justifyMode} count={all.length} wideLayout={wideLayout} />
      ))}
    </div>
  );
}
function Bars({ panel, rows, w, h }) {
  const series = stepped(rows);
  const { displayMode, valueMode, namePlacement, maxVizHeight } = panel.options;
  const each = Math.min(maxVizHeight, Math.max(16, h / series.length - 6));
  const max = Math.max(...series.flatMap((one) => one.values.filter(Number.isFinite)), 1e-12);
  return (
    <div style={{ height: h, overflow: 'hidden' }}>
      {series.map((one, i) => {
        const { value, field } = shown(panel, one);
        const config = { min: 0, max, ...field.config };
        return (
          <div key={i} style={{ marginBottom: 6 }}>
            <BarGauge theme={theme} width={w} height={each} value={value} field={config} display={field.display} orientation="horizontal" displayMode={displayMode} showUnfilled valueDisplayMode={valueMode} text={{}} itemSpacing={6} namePlacement={namePlacement} />
          </div>
        );
      })}
    </div>
  );
}
function frameOf(target, rows, isOneOfMany) {
  const mine = rows.filter((row) => row.target === target);
  const names = [...new Set(mine.flatMap((row) => Object.keys(row.labels)))].sort();
  const texts = names.map((name) => ({ name, type: FieldType.string, values: mine.map((row) => row.labels[name] ?? ''), config: {} }));
  return toDataFrame({
    refId: target.refId,
    fields: [
      { name: 'Time', type: FieldType.time, values: mine.map((row) => row.values[0][0] * 1000), config: {} },
      ...texts,
      { name: isOneOfMany ? `Value #${target.refId}` : 'Value', type: FieldType.number, values: mine.map((row) => number(row.values[0][1])), config: {} },
    ],
  });
}
function overridden(config, id, value) {
  if (id.startsWith('custom.')) config.custom = { ...config.custom, [id.slice('custom.'.length)]: value };
  else config[id] = value;
}
function Rows({ panel, rows, w, h }) {
  const [frame, set] = React.useState(null);
  React.useEffect(() => {
    const frames = panel.targets.map((target) => frameOf(target, rows, panel.targets.length > 1)).filter((frame) => frame.length);
    const merged = transformDataFrame(panel.transformations, frames).subscribe((out) => {
      const [first] = out;
      for (const field of first.fields) {
        const name = getFieldDisplayName(field, first, out);
        for (const override of panel.fieldConfig.overrides) {
          if (override.matcher.options !== name) continue;
          for (const { id, value } of override.properties) overridden(field.config, id, value);
        }
      }
      set(dressed(first, panel.fieldConfig.defaults, { align: 'auto', cellOptions: { type: 'auto' }, inspect: false }));
    });
    return () => merged.unsubscribe();
  }, []);
  return frame && <Table data={frame} width={w} height={h} cellHeight="sm" showTypeIcons={false} initialSortBy={panel.options.sortBy} />;
}
function Switches({ panel, rows, w, h }) {
  const series = stepped(rows);
  const [left, foot] = [150, 34];
  const each = (h - foot) / series.length;
  const words = panel.fieldConfig.defaults.mappings[0].options;
  const colour = (value) => theme.visualization.getColorByName(words[value]?.color ?? '#808080');
  const count = series[0].values.length;
  return (
    <svg width={w} height={h}>
      {series.map((one, i) => (
        <g key={i}>
          <text x={left - 6} y={i * each + each / 2 + 4} fill={theme.colors.text.primary} fontSize={12} textAnchor="end">{one.name}</text>
          {one.values.map((value, j) => value !== null && (
            <rect key={j} x={left + (j * (w - left)) / count} width={(w - left) / count + 0.5} y={i * each + each * 0.05} height={each * 0.9} fill={colour(value)} opacity={0.7} />
          ))}
        </g>
      ))}
      {[0, 1].map((value) => (
        <g key={value} transform={`translate(${left + value * 90}, ${h - 26})`}>
          <rect width={10} height={10} fill={colour(value)} />
          <text x={16} y={10} fill={theme.colors.text.primary} fontSize={12}>{words[value].text}</text>
        </g>
      ))}
      <text x={w} y={h - 2} fill={theme.colors.text.secondary} fontSize={10} textAnchor="end">state timeline by our own renderer</text>
    </svg>
  );
}
/** The times of all steps, in seconds. */
function steps() {
  const times = [];
  for (let time = start; time <= end + 1e-6; time += step) times.push(Math.round(time));
  return times;
}
/** The cells of a heat map, each from one bound to another, and its columns. */
function cellsOf(rows) {
  const times = steps();
  const natives = rows.flatMap((row) => row.histograms ?? []);
  if (natives.length) {
    // Prometheus leaves empty buckets out, and may widen those of one time and not of another: a cell has bounds of its own.
    const cells = natives.flatMap(([time, histogram]) =>
      (histogram.buckets ?? []).map(([, low, high, count]) => (
        { column: times.indexOf(Math.round(time)), low: number(low), high: number(high), count: number(count) }
      )));
    return { isNative: true, columns: times.length, cells: cells.filter((cell) => cell.column >= 0 && cell.count > 0) };
  }
  const series = stepped(rows).map((one) => ({ ...one, le: number(one.labels.le) })).sort((a, b) => a.le - b.le);
  const cells = series.flatMap((one, i) =>
    one.values.map((value, column) => {
      const below = i ? series[i - 1] : { le: -Infinity, values: [] };
      return { column, low: below.le, high: one.le, count: Math.max(0, (value ?? 0) - (below.values[column] ?? 0)) };
    }));
  return { isNative: false, columns: times.length, cells: cells.filter((cell) => cell.count > 0), bounds: series.map((one) => one.le) };
}
function Heat({ panel, rows, w, h }) {
  const { isNative, columns, cells, bounds: declared = [] } = cellsOf(rows);
  const bounds = [...new Set([...declared, ...cells.flatMap((cell) => [cell.low, cell.high])])].sort((a, b) => a - b);
  const most = Math.max(1e-9, ...cells.map((cell) => cell.count));
  const [left, foot] = [90, 18];
  const each = (h - foot) / Math.max(1, bounds.length - 1);
  const across = (w - left) / columns;
  const place = (bound) => h - foot - bounds.indexOf(bound) * each;
  const format = getDisplayProcessor({ field: { type: FieldType.number, config: { unit: panel.options.yAxis.unit } }, theme });
  // Prometheus' bucket of zero ends a hair beside it.
  const label = (bound) => { if (Math.abs(bound) < 1e-30) return '0'; const { prefix = '', text, suffix = '' } = format(bound); return prefix + text + suffix; };
  const every = Math.ceil(bounds.length / 10);
  return (
    <svg width={w} height={h}>
      {bounds.map((bound, i) => i % every === 0 && Number.isFinite(bound) && (
        <text key={`b${i}`} x={left - 6} y={Math.max(10, place(bound) + 4)} fill={theme.colors.text.primary} fontSize={11} textAnchor="end">{label(bound)}</text>
      ))}
      {cells.map(({ column, low, high, count }, i) => (
        <rect key={i} data-native={isNative || undefined} x={left + column * across} width={Math.max(1, across - 1)} y={place(high)} height={Math.max(1, place(low) - place(high) - 1)} fill={`hsl(${240 - 240 * Math.sqrt(count / most)},80%,50%)`} />
      ))}
      <text x={w} y={h - 4} fill={theme.colors.text.secondary} fontSize={10} textAnchor="end">heat map{isNative ? ' of native buckets' : ''} by our own renderer</text>
    </svg>
  );
}

const KINDS = { timeseries: Lines, stat: Stat, bargauge: Bars, table: Rows, 'state-timeline': Switches, heatmap: Heat };
const report = [];
const count = panels.filter((panel) => panel.type !== 'row').length;

class Guard extends React.Component {
  state = { error: null };
  static getDerivedStateFromError(error) { return { error }; }
  render() { return this.state.error ? <Nothing text={String(this.state.error.stack).slice(0, 400)} /> : this.props.children; }
}
function Panel({ panel, w, h }) {
  const [rows, set] = React.useState(null);
  const [error, fail] = React.useState(null);
  const place = React.useRef(null);
  React.useEffect(() => { load(panel).then(set, (e) => fail(e.message)); }, []);
  React.useEffect(() => {
    if (rows || error) setTimeout(() => tell(panel, rows, error, place.current), 1500);
  }, [rows, error]);
  const Kind = KINDS[panel.type];
  const isDrawn = rows?.length || panel.type === 'stat';
  return (
    <div ref={place}>
      <PanelChrome title={panel.title} description={panel.description} width={w} height={h} padding="sm">
        {(iw, ih) => error ? <Nothing text={error} /> : rows && (isDrawn ? <Guard><Kind panel={panel} rows={rows} w={iw} h={ih} /></Guard> : <Nothing />)}
      </PanelChrome>
    </div>
  );
}
/** How far the numbers of a series reach, in which unit, and what it or its column is called. */
function reach(panel, row) {
  const name = legend(row.target.legendFormat, row.labels);
  const ofColumn = panel.fieldConfig.overrides?.find((o) => panel.type === 'table' && o.matcher.options === row.target.legendFormat);
  const unit = ofColumn?.properties.find((p) => p.id === 'unit')?.value ?? panel.fieldConfig.defaults.unit;
  const numbers = row.values.map(([, value]) => number(value)).filter(Number.isFinite);
  // A heat map's numbers are counts, whatever the unit of its buckets.
  if (panel.type === 'heatmap' || !numbers.length) return { name, unit, least: null, most: null };
  return { name, unit, least: Math.min(...numbers), most: Math.max(...numbers) };
}
const isClipped = (element) => element.scrollWidth > element.clientWidth + 1;
/** What a panel came to: its series, what it says, and whether its title and what is in its table have room. */
function tell(panel, rows, error, element) {
  const title = [...element.querySelectorAll('h2, h6')].find((e) => e.textContent === panel.title);
  const cells = [...element.querySelectorAll('[role="columnheader"] > *, [role="cell"], [role="cell"] > *')];
  const bottom = element.firstElementChild.getBoundingClientRect().bottom;
  const isBeyond = (canvas) => canvas.getBoundingClientRect().bottom > bottom;
  report.push({
    title: panel.title, error,
    series: (rows ?? []).map((row) => reach(panel, row)),
    nativeCells: element.querySelectorAll('rect[data-native]').length,
    isTitleClipped: !title || isClipped(title),
    clipped: [...new Set(cells.filter(isClipped).map((e) => e.textContent))],
    isBeyondPanel: [...element.querySelectorAll('canvas')].some(isBeyond),
    text: element.innerText,
  });
  if (report.length === count) window.report = report;
  // Who waits for the report looks again whenever the document changes.
  document.body.dataset.drawn = report.length;
}

function Board() {
  const [column, line, gap] = [width / 24, 30, 8];
  let y = 0;
  const places = [];
  // The rows from top to bottom, folded ones opened: each is as high as its panels.
  for (let i = 0; i < panels.length;) {
    const row = panels[i++];
    places.push({ panel: row, top: y });
    y += line + gap;
    let height = 0;
    while (i < panels.length && panels[i].type !== 'row') {
      places.push({ panel: panels[i], top: y });
      height = Math.max(height, panels[i++].gridPos.h);
    }
    y += height * (line + gap);
  }
  return (
    <div id="board" style={{ position: 'relative', width, height: y + 60, background: theme.colors.background.canvas }}>
      <div style={{ color: theme.colors.text.primary, padding: 8, fontSize: 18 }}>
        {board.title}<span style={{ fontSize: 13, marginLeft: 24, color: theme.colors.text.secondary, whiteSpace: 'pre' }}>{heading}   last {minutes} minutes</span>
      </div>
      {places.map(({ panel, top }) => {
        const { x, w, h } = panel.gridPos;
        const box = { position: 'absolute', left: x * column + gap / 2, top: top + 44, width: w * column - gap, height: h * (line + gap) - gap };
        return panel.type === 'row'
          ? <div key={panel.id} style={{ ...box, color: theme.colors.text.primary, fontWeight: 500 }}>{panel.collapsed ? '›' : '⌄'} {panel.title}</div>
          : <div key={panel.id} style={box}><Panel panel={panel} w={box.width} h={box.height} /></div>;
      })}
    </div>
  );
}
createRoot(document.getElementById('root')).render(
  <ThemeContext.Provider value={theme}><GlobalStyles hackNoBackdropBlur isExtensionSidebarOpen={false} /><Board /></ThemeContext.Provider>,
);
