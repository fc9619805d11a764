package archtest_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// impureImports are what a pure package must not import, subpackages included.
var impureImports = []string{
	"os", "net", "log", "io/ioutil", "syscall", "sync", "context", "runtime", "math/rand", "crypto/rand",
	"github.com/prometheus",
}

// impureExceptions are harmless parts of the above: one atomic word is neither a
// lock nor I/O, and a random source may be an argument.
var impureExceptions = []string{"sync/atomic", "math/rand/v2"}

// clockNames are the parts of package time that read the clock or wait for it.
var clockNames = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTicker", "NewTimer"}

func TestPurePackagesStayPure(t *testing.T) {
	table := rules(t)
	for _, p := range packages(t) {
		row := table[p.home()]
		if !row.pure || p.name() != p.home() {
			continue
		}
		for _, imported := range p.Imports {
			if isImpure(imported) && (imported != "sync" || !row.mayLock) {
				t.Errorf("%s is pure and imports %s", p.name(), imported)
			}
		}
		for _, file := range p.GoFiles {
			reportImpureCode(t, filepath.Join(p.Dir, file))
		}
	}
}

func isImpure(imported string) bool {
	if slices.Contains(impureExceptions, imported) {
		return false
	}
	return slices.ContainsFunc(impureImports, func(impure string) bool { return isOf(imported, impure) })
}

// reportImpureCode fails the test for each goroutine the file starts and each use
// of the clock.
func reportImpureCode(t *testing.T, path string) {
	t.Helper()
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			t.Errorf("%s: a pure package starts no goroutine", fset.Position(n.Pos()))
		case *ast.SelectorExpr:
			x, ok := n.X.(*ast.Ident)
			if !ok {
				return true
			}
			if x.Name == "time" && slices.Contains(clockNames, n.Sel.Name) {
				t.Errorf("%s: a pure package does not read the clock", fset.Position(n.Pos()))
			}
		}
		return true
	})
}

// isGlobalRandom reports whether <pkg>.<name> in the file is a function of math/rand/v2,
// under whatever name, that draws from the process's own source.
func isGlobalRandom(file *ast.File, pkg, name string) bool {
	importsRand := slices.ContainsFunc(file.Imports, func(spec *ast.ImportSpec) bool {
		path, _ := strconv.Unquote(spec.Path.Value)
		return path == "math/rand/v2" && (spec.Name == nil && pkg == "rand" || spec.Name != nil && spec.Name.Name == pkg)
	})
	constructor := strings.HasPrefix(name, "New")
	isType := slices.Contains([]string{"Rand", "Source", "PCG", "ChaCha8", "Zipf"}, name)
	return importsRand && !constructor && !isType
}

// Who waits for something waits for that, and can be told to stop. Who needs chance has a
// source of its own.
func TestNobodySleepsOrDrawsFromTheProcess(t *testing.T) {
	for _, p := range packages(t) {
		if strings.HasSuffix(p.name(), "test") {
			continue
		}
		for _, name := range p.GoFiles {
			fset := token.NewFileSet()
			file, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				s, ok := n.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				x, ok := s.X.(*ast.Ident)
				if ok && x.Name == "time" && s.Sel.Name == "Sleep" {
					t.Errorf("%s: production code does not sleep", fset.Position(n.Pos()))
				}
				if ok && isGlobalRandom(file, x.Name, s.Sel.Name) {
					t.Errorf("%s: production code has a random source of its own", fset.Position(n.Pos()))
				}
				return true
			})
		}
	}
}
