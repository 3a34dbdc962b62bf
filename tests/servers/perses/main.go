// Reads the resources it is given as Perses reads what it provisions, and holds the plugins in them to the schemas by which Perses
// validates them. The first argument is the folder of this program, whose go.mod says which schemas; the others are files. What
// is wrong goes to standard error, a line for each fault; standard output says how many plugins of each kind were held to a schema,
// and which kinds have none here: Perses publishes those of the other plugins in its own archives only. Fields that a resource does
// not have are not found here but by its types (perses.ts).
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/cuecontext"
	cueerrors "cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/load"
	v1 "github.com/perses/perses/pkg/model/api/v1"

	// Whose schemas are read.
	_ "github.com/perses/plugins/prometheus/sdk/go/query"
	_ "github.com/perses/plugins/statchart/sdk/go"
	_ "github.com/perses/plugins/timeserieschart/sdk/go"
)

const perses = "github.com/perses/perses"
const plugins = "github.com/perses/plugins/"

// Where the schema of each kind of plugin is.
var schemas = map[string]string{
	"PrometheusDatasource":          plugins + "prometheus/schemas/datasource:model",
	"PrometheusLabelValuesVariable": plugins + "prometheus/schemas/prometheus-label-values:model",
	"PrometheusTimeSeriesQuery":     plugins + "prometheus/schemas/prometheus-time-series-query:model",
	"StatChart":                     plugins + "statchart/schemas:model",
	"TimeSeriesChart":               plugins + "timeserieschart/schemas:model",
}

// What a resource is read into.
var resources = map[string]func() any{
	"Dashboard":        func() any { return &v1.Dashboard{} },
	"GlobalDatasource": func() any { return &v1.GlobalDatasource{} },
	"Project":          func() any { return &v1.Project{} },
}

func main() {
	if err := run(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(folder string, files []string) error {
	root, err := os.MkdirTemp("", "perses")
	if err != nil {
		return err
	}
	defer os.RemoveAll(root)
	if err := vendor(folder, root); err != nil {
		return err
	}
	checker := checker{root: root, context: cuecontext.New(), known: map[string]cue.Value{}, counts: map[string]int{}}
	var faults []error
	for _, file := range files {
		faults = append(faults, checker.file(file)...)
	}
	for _, kind := range slices.Sorted(keys(checker.counts)) {
		fmt.Println(kind, checker.counts[kind])
	}
	return errors.Join(faults...)
}

func keys(counts map[string]int) func(func(string) bool) {
	return func(yield func(string) bool) {
		for key := range counts {
			if !yield(key) {
				return
			}
		}
	}
}

// vendor puts the schemas of all modules where a module of CUE finds what it imports.
func vendor(folder, root string) error {
	list := exec.Command("go", "list", "-m", "-f", "{{.Path}} {{.Dir}}", "all")
	list.Dir = folder
	list.Env = append(os.Environ(), "GOWORK=off", "GOTOOLCHAIN=local", "GOFLAGS=-mod=readonly")
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		return fmt.Errorf("cannot list modules: %w", err)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		path, dir, _ := strings.Cut(line, " ")
		if path == perses || strings.HasPrefix(path, plugins) {
			if err := copied(dir, filepath.Join(root, "cue.mod", "pkg", path)); err != nil {
				return err
			}
		}
	}
	module := "module: \"obs.test/perses@v0\"\nlanguage: version: \"v0.14.0\"\n"
	return os.WriteFile(filepath.Join(root, "cue.mod", "module.cue"), []byte(module), 0o644)
}

// copied copies the files of CUE in a folder.
func copied(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".cue" {
			return err
		}
		relative, err := filepath.Rel(from, path)
		// Its own modules are no package of this one.
		if err != nil || strings.Contains(relative, "cue.mod") || strings.Contains(relative, "migrate") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		place := filepath.Join(to, relative)
		if err := os.MkdirAll(filepath.Dir(place), 0o755); err != nil {
			return err
		}
		return os.WriteFile(place, text, 0o644)
	})
}

type checker struct {
	root    string
	context *cue.Context
	known   map[string]cue.Value
	counts  map[string]int
}

func (c *checker) file(file string) []error {
	text, err := os.ReadFile(file)
	if err != nil {
		return []error{err}
	}
	at := func(err error) []error { return []error{fmt.Errorf("%s: %w", file, err)} }
	var resource map[string]any
	if err := json.Unmarshal(text, &resource); err != nil {
		return at(err)
	}
	kind := fmt.Sprint(resource["kind"])
	read, ok := resources[kind]
	if !ok {
		return at(fmt.Errorf("the resource %s is not known here", kind))
	}
	// As the server reads it: references lead somewhere, and words are among those there are.
	if err := json.Unmarshal(text, read()); err != nil {
		return at(err)
	}
	var faults []error
	c.walk(resource, "", func(place string, plugin map[string]any) {
		for _, err := range c.plugin(plugin) {
			faults = append(faults, fmt.Errorf("%s: %s: %w", file, place, err))
		}
	})
	return faults
}

// walk finds what is under a key "plugin", in order.
func (c *checker) walk(value any, place string, found func(string, map[string]any)) {
	switch value := value.(type) {
	case map[string]any:
		for key, inner := range value {
			plugin, ok := inner.(map[string]any)
			if key == "plugin" && ok {
				found(place, plugin)
			}
			c.walk(inner, place+"/"+key, found)
		}
	case []any:
		for i, inner := range value {
			c.walk(inner, fmt.Sprintf("%s/%d", place, i), found)
		}
	}
}

func (c *checker) plugin(plugin map[string]any) []error {
	kind := fmt.Sprint(plugin["kind"])
	path, ok := schemas[kind]
	if !ok {
		c.counts[kind+" (no schema)"]++
		return nil
	}
	c.counts[kind]++
	schema, err := c.schema(path)
	if err != nil {
		return []error{err}
	}
	text, err := json.Marshal(plugin)
	if err != nil {
		return []error{err}
	}
	return c.fits(schema, text)
}

// schema is a package of CUE.
func (c *checker) schema(path string) (cue.Value, error) {
	if known, ok := c.known[path]; ok {
		return known, nil
	}
	instance := load.Instances([]string{path}, &load.Config{Dir: c.root, ModuleRoot: c.root})[0]
	if instance.Err != nil {
		return cue.Value{}, instance.Err
	}
	schema := c.context.BuildInstance(instance)
	c.known[path] = schema
	return schema, schema.Err()
}

func (c *checker) fits(schema cue.Value, text []byte) []error {
	data := c.context.CompileBytes(text)
	var faults []error
	for _, err := range cueerrors.Errors(schema.Unify(data).Validate(cue.Concrete(true))) {
		faults = append(faults, errors.New(err.Error()))
	}
	return faults
}
