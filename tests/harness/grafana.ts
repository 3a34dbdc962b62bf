// A dashboard as it stands in a file: Grafana's own types, with the options of each panel by the plugin that draws it.
//
// Grafana leaves open what belongs to plugins: `options`, `custom`, and what a data source is asked. Here that is closed, so
// that the compiler finds a name nobody knows.

import type {
  AnnotationQuery,
  Dashboard,
  DataQuery,
  DataTransformerConfig,
  FieldConfig,
  FieldConfigSource,
  Panel,
  RowPanel,
  VariableModel,
} from '@grafana/schema';
import type * as bargauge from 'panel/bargauge';
import type * as heatmap from 'panel/heatmap';
import type * as stat from 'panel/stat';
import type * as stateTimeline from 'panel/statetimeline';
import type * as table from 'panel/table';
import type * as timeseries from 'panel/timeseries';

/** A type as JSON has it: with a plain word where there is an enum of words. */
type Written<T> = unknown extends T
  ? T
  : T extends string
    ? `${T}`
    : T extends object
      ? { [K in keyof T]: Written<T[K]> }
      : T;

/** What the data source Prometheus is asked. Its types are not among those that Grafana publishes. */
interface Query extends DataQuery {
  expr: string;
  editorMode?: 'builder' | 'code';
  format?: 'time_series' | 'table' | 'heatmap';
  instant?: boolean;
  range?: boolean;
  interval?: string;
  legendFormat?: string;
}

/** With what the data source Prometheus adds: how an annotation is written, and whether a value is its time. */
interface Annotation extends Omit<AnnotationQuery, 'target'> {
  target: Query;
  titleFormat?: string;
  textFormat?: string;
  useValueForTime?: boolean;
}

/** With what the frontend adds: the text by which a query is listed. */
interface Variable extends VariableModel {
  definition?: string;
}

type Known = 'type' | 'options' | 'fieldConfig' | 'targets' | 'transformations';

/** A panel drawn by one plugin. Only `custom` may be given in part: the rest of it are the plugin's defaults. */
interface DrawnBy<Plugin, Options, Custom> extends Omit<Panel, Known> {
  type: Plugin;
  options: Options;
  targets: Query[];
  transformations?: DataTransformerConfig[];
  fieldConfig: Pick<FieldConfigSource, 'overrides'> & {
    defaults: Omit<FieldConfig, 'custom'> & { custom?: Partial<Custom> };
  };
}

type Nothing = Record<string, never>;

type AnyPanel =
  | RowPanel
  | DrawnBy<'bargauge', bargauge.Options, Nothing>
  | DrawnBy<'heatmap', heatmap.Options, heatmap.FieldConfig>
  | DrawnBy<'stat', stat.Options, Nothing>
  | DrawnBy<'state-timeline', stateTimeline.Options, stateTimeline.FieldConfig>
  | DrawnBy<'table', table.Options, table.FieldConfig>
  | DrawnBy<'timeseries', timeseries.Options, timeseries.FieldConfig>;

interface Whole extends Omit<Dashboard, 'panels' | 'annotations' | 'templating'> {
  panels: AnyPanel[];
  annotations: { list: Annotation[] };
  templating: { list: Variable[] };
}

export type File = Written<Whole>;
