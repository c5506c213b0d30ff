package rpmfile

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kojimod/kojimod/pkg/modulemd"
)

func TestFields(t *testing.T) {
	p, err := ReadFile(filepath.Join(fixtureDir, "juniper-1.4~rc2-3.x86_64.rpm"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(modulemd.NEVRA{Name: "juniper", Epoch: 2, Version: "1.4~rc2", Release: "3", Arch: "x86_64"}, p.NEVRA()); diff != "" {
		t.Error(diff)
	}
	if p.IsSource() || p.SourceRPM() != "juniper-1.4~rc2-3.src.rpm" || p.ModularityLabel() != "" {
		t.Errorf("source %v, of %q, label %q", p.IsSource(), p.SourceRPM(), p.ModularityLabel())
	}
	if got := p.License(); got != "MIT AND (GPL-2.0-or-later OR Apache-2.0)" {
		t.Errorf("license %q", got)
	}
	weak := map[DependencyKind][]Dependency{
		Recommends:  {{"(weak with strong)", 0, ""}},
		Suggests:    {{"hint", 4 | 8, "1"}},
		Supplements: {{"(langpack and juniper)", 0, ""}},
		Enhances:    {{"improved", 8, "4"}},
		Conflicts:   {{"enemy", 2, "3"}},
		Obsoletes:   {{"juniper-old", 2, "1:1.0-1"}},
	}
	for kind, want := range weak {
		got := p.Dependencies(kind)
		for i := range got {
			got[i].Flags &= 0xf
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", kind, diff)
		}
	}
	kinds := map[string]string{}
	for _, f := range p.Files() {
		kind := ""
		if f.IsDir() {
			kind += "dir "
		}
		if f.Flags&FileGhost != 0 {
			kind += "ghost "
		}
		if f.Flags&FileConfig != 0 {
			kind += "config "
		}
		if f.Digest != "" {
			kind += "digest"
		}
		kinds[f.Path] = strings.TrimSpace(kind)
	}
	want := map[string]string{
		"/etc/juniper":                            "dir",
		"/etc/juniper/juniper.conf":               "config digest",
		"/etc/juniper/keep.conf":                  "config digest",
		"/opt/cabin/deck":                         "digest",
		"/usr/bin/juniper":                        "digest",
		"/usr/bin/juniper-link":                   "",
		"/usr/lib/sendmail":                       "digest",
		"/usr/share/juniper":                      "dir",
		"/usr/share/juniper/dir":                  "dir",
		"/usr/share/juniper/dir/ěščř":             "digest",
		"/usr/share/juniper/with space & <angle>": "digest",
		"/var/lib/juniper":                        "dir ghost",
		"/var/log/juniper.log":                    "ghost",
	}
	if diff := cmp.Diff(want, kinds); diff != "" {
		t.Errorf("files (-want +got)\n%s", diff)
	}
}

func TestModularAndSource(t *testing.T) {
	p, err := ReadFile(filepath.Join(fixtureDir, "sorrel-5.2-1.module+f41+1+c2572f1d.noarch.rpm"))
	if err != nil {
		t.Fatal(err)
	}
	if got := p.ModularityLabel(); got != "sorrel:latest:20250115120000:c2572f1d" {
		t.Errorf("label %q", got)
	}
	p, err = ReadFile(filepath.Join(fixtureDir, "tansy-0.9-1.src.rpm"))
	if err != nil {
		t.Fatal(err)
	}
	if !p.IsSource() || p.NEVRA().Arch != "src" {
		t.Errorf("source %v, %v", p.IsSource(), p.NEVRA())
	}
	if got := p.Files()[0].Path; got != "tansy.patch" {
		t.Errorf("first file %q", got)
	}
}

// TestHostile reads and verifies the damaged packages.
func TestHostile(t *testing.T) {
	tests := []struct {
		file  string
		err   error
		words string
	}{
		{"empty.rpm", ErrNotRPM, "it is empty"},
		{"text.rpm", ErrNotRPM, "it starts with 74 68 69 73"},
		{"truncated-lead.rpm", ErrTruncated, "lead: truncated"},
		{"truncated-signature.rpm", ErrTruncated, "signature header: truncated"},
		{"truncated-header.rpm", ErrTruncated, "header: truncated"},
		{"truncated-payload.rpm", ErrTruncated, "10 bytes are missing"},
		{"too-long.rpm", ErrSize, "5 bytes follow its end"},
		{"bad-header-magic.rpm", ErrMalformed, "it starts with 00 ad e8 01"},
		{"lying-entries.rpm", ErrMalformed, "it claims 2147483647 entries"},
		{"most-entries.rpm", ErrTruncated, "header: truncated"},
		{"lying-data.rpm", ErrMalformed, "4294967295 bytes of data"},
		{"most-data.rpm", ErrTruncated, "header: truncated"},
		{"lying-count.rpm", ErrMalformed, "it claims 2147483647 values"},
		{"lying-offset.rpm", ErrMalformed, "its data would start at 16777215"},
		{"unknown-type.rpm", ErrMalformed, "the unknown type 99"},
		{"overlap.rpm", ErrMalformed, "overlap"},
		{"header-digest.rpm", ErrDigest, "header SHA256"},
		{"payload-digest.rpm", ErrDigest, "payload SHA256"},
	}
	seen := map[string]bool{}
	for _, tt := range tests {
		seen[tt.file] = true
		t.Run(tt.file, func(t *testing.T) {
			path := filepath.Join(fixtureDir, "hostile", tt.file)
			err := Verify(context.Background(), path)
			var e *Error
			if !errors.As(err, &e) || !errors.Is(err, tt.err) || !strings.Contains(err.Error(), tt.words) {
				t.Fatalf("got %v, want %v with %q", err, tt.err, tt.words)
			}
			if e.Path != path {
				t.Errorf("path %q", e.Path)
			}
			t.Log(err)
		})
	}
	all, err := filepath.Glob(filepath.Join(fixtureDir, "hostile", "*.rpm"))
	if err != nil || len(all) != len(tests) {
		t.Errorf("%d files, %d tests (%v)", len(all), len(tests), err)
	}
}

func TestNoRegularFile(t *testing.T) {
	if _, err := ReadFile(t.TempDir()); !errors.Is(err, ErrNotRPM) {
		t.Errorf("a directory: %v", err)
	}
}

func TestVerifyCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	err := Verify(ctx, filepath.Join(fixtureDir, "sorrel-5.2-1.module+f41+1+c2572f1d.noarch.rpm"))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// TestEveryTruncation cuts a package at each byte: never a panic, always an error.
func TestEveryTruncation(t *testing.T) {
	whole, err := os.ReadFile(filepath.Join(fixtureDir, "sorrel-5.2-1.module+f41+1+c2572f1d.noarch.rpm"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := Read(bytes.NewReader(whole))
	if err != nil {
		t.Fatal(err)
	}
	for n := range int(p.HeaderEnd) {
		if _, err := Read(bytes.NewReader(whole[:n])); !errors.Is(err, ErrTruncated) && !errors.Is(err, ErrNotRPM) {
			t.Fatalf("cut at %d: %v", n, err)
		}
	}
}

// rawHeader builds a header out of entries, for cases that rpmbuild does not make.
type rawEntry struct {
	tag   Tag
	typ   dataType
	count int
	data  string
}

func rawHeader(entries ...rawEntry) []byte {
	var index, data bytes.Buffer
	for _, e := range entries {
		for _, n := range []uint32{uint32(e.tag), uint32(e.typ), uint32(data.Len()), uint32(e.count)} {
			index.Write(binary.BigEndian.AppendUint32(nil, n))
		}
		data.WriteString(e.data)
	}
	out := append([]byte{}, headerMagic[:]...)
	out = binary.BigEndian.AppendUint32(out, uint32(len(entries)))
	out = binary.BigEndian.AppendUint32(out, uint32(data.Len()))
	return append(append(out, index.Bytes()...), data.Bytes()...)
}

func TestParseHeaderLists(t *testing.T) {
	names := rawEntry{TagBaseNames, typeStringArray, 2, "a\x00b\x00"}
	dirs := rawEntry{TagDirNames, typeStringArray, 1, "/usr/\x00"}
	tests := []struct {
		name    string
		entries []rawEntry
		words   string
	}{
		{"good", []rawEntry{names, dirs, {TagDirIndexes, typeInt32, 2, "\x00\x00\x00\x00\x00\x00\x00\x00"}}, ""},
		{"no indexes", []rawEntry{names, dirs}, "2 file names have 0 directory numbers"},
		{"index out of range", []rawEntry{names, dirs, {TagDirIndexes, typeInt32, 2, "\x00\x00\x00\x00\xff\xff\xff\xff"}}, "file 1 is in directory 4294967295 of 1"},
		{"names are numbers", []rawEntry{{TagBaseNames, typeInt32, 1, "\x00\x00\x00\x00"}, dirs, {TagDirIndexes, typeInt32, 1, "\x00\x00\x00\x00"}}, "no strings"},
		{"string without end", []rawEntry{{TagName, typeString, 1, "abc"}}, "fewer strings"},
		{"two strings in one", []rawEntry{{TagName, typeString, 2, "a\x00b\x00"}}, "one string"},
		{"no values", []rawEntry{{TagName, typeString, 0, ""}}, "no values"},
		{"no entries", nil, "no entries"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseHeader(rawHeader(tt.entries...))
			if tt.words == "" && err != nil || tt.words != "" && (!errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), tt.words)) {
				t.Errorf("got %v, want %q", err, tt.words)
			}
		})
	}
}

// TestPathBomb refuses few bytes that stand for many gigabytes of paths.
func TestPathBomb(t *testing.T) {
	const files = 100_000
	raw := rawHeader(
		rawEntry{TagBaseNames, typeStringArray, files, strings.Repeat("x\x00", files)},
		rawEntry{TagDirNames, typeStringArray, 1, strings.Repeat("d", 1<<20) + "\x00"},
		rawEntry{TagDirIndexes, typeInt32, files, strings.Repeat("\x00", 4*files)},
	)
	if _, err := ParseHeader(raw); err == nil || !strings.Contains(err.Error(), "bytes long altogether") {
		t.Errorf("got %v", err)
	}
}

func TestCheckNames(t *testing.T) {
	tests := []struct{ name, version, release, arch, words string }{
		{"bash", "5.2", "1.fc41", "x86_64", ""},
		{"c++-gtk~1^2", "5", "1", "noarch", ""},
		{"../bash", "5.2", "1", "x86_64", "starts with a '.'"},
		{"a/b", "5.2", "1", "x86_64", "has a '/'"},
		{"bash", "5/2", "1", "x86_64", "has a '/'"},
		{"bash", "5", "1\n", "x86_64", "control character"},
		{"bash", "5", "1", "x86\x7f", "control character"},
		{"bash", "", "1", "x86_64", "it is missing"},
		{strings.Repeat("n", 256), "1", "1", "x86_64", "longer than 255"},
	}
	for _, tt := range tests {
		h, err := ParseHeader(rawHeader(
			rawEntry{TagName, typeString, 1, tt.name + "\x00"},
			rawEntry{TagVersion, typeString, 1, tt.version + "\x00"},
			rawEntry{TagRelease, typeString, 1, tt.release + "\x00"},
			rawEntry{TagArch, typeString, 1, tt.arch + "\x00"},
			rawEntry{TagSourceRPM, typeString, 1, "x.src.rpm\x00"},
		))
		if err != nil {
			t.Fatal(err)
		}
		err = h.CheckNames()
		if tt.words == "" && err != nil || tt.words != "" && (!errors.Is(err, ErrName) || !strings.Contains(err.Error(), tt.words)) {
			t.Errorf("%.20q: got %v, want %q", tt, err, tt.words)
		}
	}
}

// TestLyingSizeIsCheap measures what a header costs that claims 255 MiB and has a few bytes.
func TestLyingSizeIsCheap(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(fixtureDir, "hostile", "most-data.rpm"))
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err = Read(bytes.NewReader(b))
	runtime.ReadMemStats(&after)
	if !errors.Is(err, ErrTruncated) {
		t.Fatal(err)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20 {
		t.Errorf("%d bytes allocated for a file of %d", used, len(b))
	}
}

// TestOddPackages builds packages with features that the fixtures lack and compares the readers on them.
func TestOddPackages(t *testing.T) {
	if _, err := exec.LookPath("rpmbuild"); err != nil {
		t.Skip("rpmbuild is not installed")
	}
	for _, payload := range []string{"w9.gzdio", "w3.xzdio", "w3.zstdio", "w1.bzdio", "w.ufdio"} {
		t.Run(payload, func(t *testing.T) {
			top := t.TempDir()
			spec := filepath.Join(top, "odd.spec")
			text := "Name: odd\nVersion: 1\nRelease: 1\nSummary: s\nLicense: l\nBuildArch: noarch\nSource0: x\nNoSource: 0\n" +
				"%description\nd\n%install\nmkdir -p %{buildroot}/d\nfor i in `seq 300`; do echo $i > %{buildroot}/d/$i; done\n%files\n/d\n"
			if err := os.WriteFile(spec, []byte(text), 0o666); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(top, "x"), nil, 0o666); err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command("rpmbuild", "-ba", "--quiet", "--define", "_topdir "+top, "--define", "_sourcedir "+top,
				"--define", "_binary_payload "+payload, "--define", "_rpmdir "+top, "--define", "_srcrpmdir "+top,
				"--define", "_rpmfilename %%{NAME}.%%{ARCH}.rpm", spec).CombinedOutput()
			if err != nil {
				t.Fatalf("rpmbuild: %v\n%s", err, out)
			}
			binary := filepath.Join(top, "odd.noarch.rpm")
			source := filepath.Join(top, "odd-1-1.nosrc.rpm")
			for _, path := range []string{binary, source} {
				p, err := ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				compareRPMUtils(t, path, p)
				compareCavaliergopher(t, path, p)
				if err := Verify(context.Background(), path); err != nil {
					t.Error(err)
				}
				out, err := exec.Command("rpm", "-qp", "--qf", "%{LONGSIZE} %{LONGARCHIVESIZE}", path).Output()
				if err != nil {
					t.Fatal(err)
				}
				if got, want := fmtSizes(p), string(out); got != want {
					t.Errorf("installed and archive size %s, rpm says %s", got, want)
				}
			}
			if p, err := ReadFile(source); err != nil || p.NEVRA().Arch != "nosrc" {
				t.Errorf("%v, %v", p.NEVRA(), err)
			}
		})
	}
}

func fmtSizes(p *Package) string {
	return fmt.Sprintf("%d %d", p.InstalledSize(), p.ArchiveSize())
}

func FuzzRead(f *testing.F) {
	for _, path := range realPackages(f) {
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b[:min(len(b), 16<<10)])
	}
	hostile, _ := filepath.Glob(filepath.Join(fixtureDir, "hostile", "*.rpm"))
	for _, path := range hostile {
		if b, err := os.ReadFile(path); err == nil {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		in := bytes.NewReader(b)
		p, err := Read(in)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Offset < 0 || e.Offset > int64(len(b)) {
				t.Fatalf("error %v", err)
			}
			return
		}
		rest, err := io.ReadAll(in)
		if err != nil || int64(len(b)-len(rest)) != p.HeaderEnd {
			t.Fatalf("the reader is at %d, the header ends at %d", len(b)-len(rest), p.HeaderEnd)
		}
		if !bytes.Equal(p.Raw(), b[p.HeaderStart:p.HeaderEnd]) {
			t.Fatal("raw header is not what the file has")
		}
		for _, h := range []*Header{p.Header, p.Signature} {
			for tag := range h.entries {
				_, _, _, _, _ = h.String(tag), h.Strings(tag), h.Uint64s(tag), h.Bytes(tag), h.Count(tag)
			}
		}
		for kind := range OldEnhances + 2 {
			p.Dependencies(kind)
		}
		p.Files()
		_, _ = p.NEVRA(), p.CheckNames()
		_, _ = p.ArchiveSize(), p.InstalledSize()
	})
}
