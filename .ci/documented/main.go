// Command documented fails when an exported name has no comment. It reads the
// Go files below the folders it is given, tests and testdata apart.
package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	files := token.NewFileSet()
	bare, names := 0, 0
	for _, root := range os.Args[1:] {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && (d.Name() == "testdata" || path != root && strings.HasPrefix(d.Name(), ".")):
				return filepath.SkipDir
			case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
				return nil
			}
			file, err := parser.ParseFile(files, path, nil, parser.ParseComments)
			if err != nil {
				return err
			}
			for _, decl := range file.Decls {
				exported(decl, func(name *ast.Ident, commented bool) {
					names++
					if !commented {
						bare++
						fmt.Printf("%s: %s has no comment\n", files.Position(name.Pos()), name.Name)
					}
				})
			}
			return nil
		})
		if err != nil {
			fmt.Fprintln(os.Stderr, "documented:", err)
			os.Exit(1)
		}
	}
	if bare > 0 {
		os.Exit(1)
	}
	fmt.Printf("documented: all of %d exported names\n", names)
}

// exported tells each exported name of a declaration, and whether a comment
// stands above it, above its group, or at its line's end.
func exported(decl ast.Decl, tell func(*ast.Ident, bool)) {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		if d.Name.IsExported() && ofExported(d.Recv) {
			tell(d.Name, d.Doc != nil)
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				if s.Name.IsExported() {
					tell(s.Name, d.Doc != nil || s.Doc != nil || s.Comment != nil)
				}
			case *ast.ValueSpec:
				for _, name := range s.Names {
					if name.IsExported() {
						tell(name, d.Doc != nil || s.Doc != nil || s.Comment != nil)
					}
				}
			}
		}
	}
}

// ofExported reports whether a method can be seen from outside; functions can.
func ofExported(recv *ast.FieldList) bool {
	if recv == nil {
		return true
	}
	t := recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return false
		}
	}
}
