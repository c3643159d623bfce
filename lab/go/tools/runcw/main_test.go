package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSpecification(t *testing.T) {
	cases := []struct{ command, path, keys string }{
		{"--root /r create --bundle /b --pid-file p id", "/b/config.json", "process capabilities"},
		{"--root=/r run -b /b id", "/b/config.json", "process capabilities"},
		{"--log l exec --process /p --detach id", "/p", "capabilities"},
		{"exec --process=/p id", "/p", "capabilities"},
		{"delete --force id", "", ""},
	}
	for _, c := range cases {
		path, keys := specification(strings.Fields(c.command))
		if path != c.path || strings.Join(keys, " ") != c.keys {
			t.Errorf("%s: got %q %q", c.command, path, keys)
		}
	}
}

func TestBoundingSet(t *testing.T) {
	held, err := boundingSet(write(t, "Name:\tx\nCapBnd:\t000001fffeffffff\n"))
	if err != nil {
		t.Fatal(err)
	}
	missing := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return held[name] })
	if !slices.Equal(missing, []string{"CAP_SYS_RESOURCE"}) {
		t.Errorf("missing: %v", missing)
	}
	if _, err := boundingSet(write(t, "Name:\tx\n")); err == nil {
		t.Error("a status without CapBnd was accepted")
	}
}

func TestTrimRemovesOnlyWhatIsNotHeld(t *testing.T) {
	path := write(t, `{"process":{"capabilities":{"bounding":["CAP_CHOWN","CAP_SYS_RESOURCE"]},"limit":9223372036854775807}}`)
	if err := trim(path, []string{"process", "capabilities"}, map[string]bool{"CAP_CHOWN": true}); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"process":{"capabilities":{"bounding":["CAP_CHOWN"]},"limit":9223372036854775807}}`
	if string(content) != want {
		t.Errorf("got  %s\nwant %s", content, want)
	}
}

func TestTrimLeavesACompleteSpecificationAlone(t *testing.T) {
	original := `{ "capabilities": {"bounding": ["CAP_CHOWN"]} }`
	path := write(t, original)
	if err := trim(path, []string{"capabilities"}, map[string]bool{"CAP_CHOWN": true}); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(content) != original {
		t.Errorf("rewritten: %s", content)
	}
}
