package terminal

import "strings"

var sparks = []rune("▁▂▃▄▅▆▇█")

// Spark draws values, oldest first, as a line of at most width cells, from 0 to top.
// Values that share a cell are averaged; "·" is a cell where nothing is known.
func Spark(values []*float64, top float64, width int) string {
	width = min(width, len(values))
	var b strings.Builder
	for i := range width {
		sum, n := 0.0, 0
		for _, v := range values[i*len(values)/width : (i+1)*len(values)/width] {
			if v != nil {
				sum, n = sum+*v, n+1
			}
		}
		b.WriteRune(spark(sum, n, top))
	}
	return b.String()
}

func spark(sum float64, n int, top float64) rune {
	switch {
	case n == 0:
		return '·'
	case top <= 0:
		return sparks[0]
	}
	level := int(sum / float64(n) / top * float64(len(sparks)))
	return sparks[max(0, min(level, len(sparks)-1))]
}
