# make        builds bin/module-builder-task
# make demo   installs what is missing, builds the sample module, shows it
# make test   installs what the tests need and runs them
# make test-koji  tests the client against the Koji that KOJI_TEST_HUB,
#             KOJI_TEST_USER and KOJI_TEST_PASSWORD name; each live_test.go below
#             pkg/koji says what else can be named
# make lint   gofmt, go vet, staticcheck
# make bench  runs the benchmarks
# make fuzz   runs each fuzz target for FUZZTIME
# make rpm    builds the packages of packaging/kojimod.spec into bin/rpm; RPMFLAGS
#             are rpmbuild's: --nodeps where it is not Fedora or EL
# make clean  removes what the others made

GO          = go
FUZZTIME    = 60s
BENCH       = .
TESTFLAGS   =
RPMFLAGS    =
STATICCHECK = tool -modfile=tools/go.mod staticcheck

# Commands that are not written yet are not built.
COMMANDS = $(notdir $(patsubst %/main.go,%,$(wildcard cmd/*/main.go)))

all: build

build: check-go
	@for c in $(COMMANDS); do \
	  echo "CGO_ENABLED=0 $(GO) build -trimpath -o bin/$$c ./cmd/$$c"; \
	  CGO_ENABLED=0 $(GO) build -trimpath -o bin/$$c ./cmd/$$c || exit 1; \
	done

demo: check-go
	scripts/setup demo
	@$(MAKE) --no-print-directory build
	scripts/demo

test: check-go
	scripts/setup test
	$(GO) test -race $(TESTFLAGS) ./...
	scripts/test-plugins

test-koji: check-go
	@test -n "$$KOJI_TEST_HUB" || { echo "set KOJI_TEST_HUB, KOJI_TEST_USER and KOJI_TEST_PASSWORD" >&2; exit 1; }
	$(GO) test -race -count=1 -v -timeout 1h -run '^TestLive' $(TESTFLAGS) ./pkg/koji/... ./pkg/kojitask/ ./internal/doctor/

lint: check-go
	@echo "gofmt -l ."; out=$$(gofmt -l .); \
	  if [ -n "$$out" ]; then echo "$$out"; echo "not formatted; run: gofmt -w ." >&2; exit 1; fi
	$(GO) vet ./...
	$(GO) $(STATICCHECK) ./...

bench: check-go
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem ./...

fuzz: check-go
	scripts/fuzz $(FUZZTIME)

rpm: check-go
	packaging/build-rpms $(RPMFLAGS)

# What a build ran as root has left is root's; say so instead of failing halfway.
clean:
	chmod -R u+rwX bin demo .cache 2>/dev/null || true
	rm -rf bin demo .cache

check-go:
	@scripts/check-go

.PHONY: all build demo test test-koji lint bench fuzz rpm clean check-go
