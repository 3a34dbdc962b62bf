// Reads the files it is given as Alloy reads its configuration: parses them, and evaluates each component that is known here into
// its arguments. An argument that the component does not have, one of another type and one that is missing are refused, and so is a
// reference to nothing. What arguments there are is by Alloy's reference of components, of v1.10. Alloy itself says more: what it
// makes of the values.
package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/grafana/alloy/syntax/ast"
	"github.com/grafana/alloy/syntax/parser"
	"github.com/grafana/alloy/syntax/vm"
)

// A receiver is what remote_write exports, and what scrape forwards to.
type receiver struct{}

func (receiver) AlloyCapsule() {}

// Arguments of discovery.file.
type file struct {
	Files           []string      `alloy:"files,attr"`
	RefreshInterval time.Duration `alloy:"refresh_interval,attr,optional"`
}

// Arguments of prometheus.scrape, without those that say who scrapes.
type scrape struct {
	Targets                []map[string]string `alloy:"targets,attr"`
	ForwardTo              []receiver          `alloy:"forward_to,attr"`
	JobName                string              `alloy:"job_name,attr,optional"`
	ExtraMetrics           bool                `alloy:"extra_metrics,attr,optional"`
	HonorLabels            bool                `alloy:"honor_labels,attr,optional"`
	HonorTimestamps        bool                `alloy:"honor_timestamps,attr,optional"`
	LabelLimit             uint                `alloy:"label_limit,attr,optional"`
	MetricsPath            string              `alloy:"metrics_path,attr,optional"`
	Params                 map[string][]string `alloy:"params,attr,optional"`
	SampleLimit            uint                `alloy:"sample_limit,attr,optional"`
	Scheme                 string              `alloy:"scheme,attr,optional"`
	ScrapeClassic          bool                `alloy:"scrape_classic_histograms,attr,optional"`
	ScrapeInterval         time.Duration       `alloy:"scrape_interval,attr,optional"`
	ScrapeNativeHistograms bool                `alloy:"scrape_native_histograms,attr,optional"`
	ScrapeProtocols        []string            `alloy:"scrape_protocols,attr,optional"`
	ScrapeTimeout          time.Duration       `alloy:"scrape_timeout,attr,optional"`
}

// Arguments of prometheus.remote_write, without those of credentials.
type remoteWrite struct {
	ExternalLabels map[string]string `alloy:"external_labels,attr,optional"`
	Endpoints      []endpoint        `alloy:"endpoint,block,optional"`
	Log            *log              `alloy:"wal,block,optional"`
}

type endpoint struct {
	URL                  string            `alloy:"url,attr"`
	Name                 string            `alloy:"name,attr,optional"`
	Headers              map[string]string `alloy:"headers,attr,optional"`
	RemoteTimeout        time.Duration     `alloy:"remote_timeout,attr,optional"`
	SendExemplars        bool              `alloy:"send_exemplars,attr,optional"`
	SendNativeHistograms bool              `alloy:"send_native_histograms,attr,optional"`
}

type log struct {
	TruncateFrequency time.Duration `alloy:"truncate_frequency,attr,optional"`
	MinKeepaliveTime  time.Duration `alloy:"min_keepalive_time,attr,optional"`
	MaxKeepaliveTime  time.Duration `alloy:"max_keepalive_time,attr,optional"`
}

// component is what its arguments are decoded into, and what others may refer to.
type component struct {
	arguments func() any
	exports   map[string]any
}

var components = map[string]component{
	"discovery.file":          {func() any { return &file{} }, map[string]any{"targets": []map[string]string{}}},
	"prometheus.scrape":       {func() any { return &scrape{} }, nil},
	"prometheus.remote_write": {func() any { return &remoteWrite{} }, map[string]any{"receiver": receiver{}}},
}

func main() {
	failed := false
	for _, path := range os.Args[1:] {
		if err := check(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			failed = true
		}
	}
	if failed {
		os.Exit(1)
	}
}

func check(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	parsed, err := parser.ParseFile(path, text)
	if err != nil {
		return err
	}
	scope := &vm.Scope{Variables: map[string]any{}}
	for _, statement := range parsed.Body {
		block, ok := statement.(*ast.BlockStmt)
		if !ok {
			return fmt.Errorf("%s: there is something beside components", path)
		}
		known, ok := components[block.GetBlockName()]
		if !ok {
			return fmt.Errorf("%s: the component %s is not known here", path, block.GetBlockName())
		}
		export(scope.Variables, append(block.Name, block.Label), known.exports)
	}
	for _, statement := range parsed.Body {
		block := statement.(*ast.BlockStmt)
		if err := vm.New(block.Body).Evaluate(scope, components[block.GetBlockName()].arguments()); err != nil {
			return fmt.Errorf("%s %q: %w", strings.Join(block.Name, "."), block.Label, err)
		}
	}
	return nil
}

// export puts what a component exports where its name says.
func export(variables map[string]any, name []string, exports map[string]any) {
	for _, part := range name[:len(name)-1] {
		within, ok := variables[part].(map[string]any)
		if !ok {
			within = map[string]any{}
			variables[part] = within
		}
		variables = within
	}
	variables[name[len(name)-1]] = exports
}
