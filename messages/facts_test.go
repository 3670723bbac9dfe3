package messages

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
)

// A type that is made is one that can be searched for: EventTypes has every constant
// but RouteTest, which is never kept.
func TestEventTypesAreAll(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	declared := []EventType{}
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			v, ok := n.(*ast.ValueSpec)
			if !ok || len(v.Values) != 1 {
				return true
			}
			if typ, ok := v.Type.(*ast.Ident); ok && typ.Name == "EventType" {
				word, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				declared = append(declared, EventType(word))
			}
			return true
		})
	}
	declared = slices.DeleteFunc(declared, func(e EventType) bool { return e == RouteTest })
	slices.Sort(declared)
	if len(declared) == 0 || !slices.Equal(declared, EventTypes) {
		t.Errorf("declared %q\nlisted   %q", declared, EventTypes)
	}
}
