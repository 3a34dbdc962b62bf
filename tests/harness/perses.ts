// A dashboard as Perses' own types have it, with the options of each panel by the plugin that draws it.
//
// Perses leaves open what belongs to plugins. Here that is closed, so that the compiler finds a name nobody knows.

import type { BarChartOptions } from '@perses-dev/bar-chart-plugin';
import type { DashboardResource, DashboardSpec, ListVariableDefinition, ListVariableSpec, PanelSpec } from '@perses-dev/core';
import type { HeatMapChartOptions } from '@perses-dev/heatmap-chart-plugin';
import type { PrometheusLabelValuesVariableOptions, PrometheusTimeSeriesQuerySpec } from '@perses-dev/prometheus-plugin';
import type { StatChartOptions } from '@perses-dev/stat-chart-plugin';
import type { StatusHistoryChartOptions } from '@perses-dev/status-history-chart-plugin';
import type { TableOptions } from '@perses-dev/table-plugin';
import type { TimeSeriesChartOptions } from '@perses-dev/timeseries-chart-plugin';

interface Of<Kind, Spec> {
  kind: Kind;
  spec: Spec;
}

type Drawn =
  | Of<'BarChart', BarChartOptions>
  | Of<'HeatMapChart', HeatMapChartOptions>
  | Of<'StatChart', StatChartOptions>
  | Of<'StatusHistoryChart', StatusHistoryChartOptions>
  | Of<'Table', TableOptions>
  | Of<'TimeSeriesChart', TimeSeriesChartOptions>;

type Query = Of<'TimeSeriesQuery', { plugin: Of<'PrometheusTimeSeriesQuery', PrometheusTimeSeriesQuerySpec> }>;

interface Panel extends Omit<PanelSpec, 'plugin' | 'queries'> {
  plugin: Drawn;
  queries: Query[];
}

interface Variable extends Omit<ListVariableDefinition, 'spec'> {
  spec: Omit<ListVariableSpec, 'plugin'> & {
    plugin: Of<'PrometheusLabelValuesVariable', PrometheusLabelValuesVariableOptions>;
  };
}

export interface File extends Omit<DashboardResource, 'spec'> {
  spec: Omit<DashboardSpec, 'panels' | 'variables'> & {
    panels: Record<string, Of<'Panel', Panel>>;
    variables: Variable[];
  };
}
