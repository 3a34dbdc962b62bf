// Prints where Prometheus' client for Go counts values: every bound of schema 3 from 2^-30 to 2^22, both floats beside it, and
// their negatives. A line is the bits of a value, and the index of its bucket in a native histogram.
//
//	go run . > ../../../crates/obs-recorder/tests/native_bounds.txt
package main

import (
	"bufio"
	"fmt"
	"math"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// The bucket of a value, in a histogram that holds nothing else.
func index(value float64) int32 {
	histogram := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:                        "bounds",
		NativeHistogramBucketFactor: 1.1,
	})
	histogram.Observe(value)
	var metric dto.Metric
	if err := histogram.Write(&metric); err != nil {
		panic(err)
	}
	held := metric.GetHistogram()
	if held.GetSchema() != 3 {
		panic(fmt.Sprintf("schema %d", held.GetSchema()))
	}
	spans := held.GetPositiveSpan()
	if value < 0 {
		spans = held.GetNegativeSpan()
	}
	if len(spans) != 1 || spans[0].GetLength() != 1 {
		panic(fmt.Sprintf("%v is in %v", value, held))
	}
	return spans[0].GetOffset()
}

func main() {
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for eighth := -30 * 8; eighth <= 22*8; eighth++ {
		// The client compares with the bounds that it has, which its buckets tell: a bound is the greatest value in its bucket.
		near := math.Exp2(float64(eighth) / 8)
		bound := near
		for index(bound) > int32(eighth) {
			bound = math.Nextafter(bound, 0)
		}
		for index(math.Nextafter(bound, math.Inf(1))) == int32(eighth) {
			bound = math.Nextafter(bound, math.Inf(1))
		}
		for _, value := range []float64{math.Nextafter(bound, 0), bound, math.Nextafter(bound, math.Inf(1))} {
			fmt.Fprintf(out, "%016x %d\n", math.Float64bits(value), index(value))
			fmt.Fprintf(out, "%016x %d\n", math.Float64bits(-value), index(-value))
		}
	}
}
