# The front door. CMake does the work; see CMakePresets.json. `make help` lists what there is.
.DEFAULT_GOAL := build
.PHONY: help deps build demo test test-long bench install uninstall format includes docs lint geo-data geo-full clean
PREFIX ?= /usr/local
JOBS ?= $(shell nproc)
DEPS ?= yes
deps = @[ "$(DEPS)" = no ] || ./cmake/deps.sh
programs = pocketcdn pocketcdn-router pocketcdn-edge pocketcdn-origin pocketcdn-wan
configure = cmake --preset $(1) >/dev/null
# Scenarios wait more than they work, so five for two cores.
ctest = ctest --output-on-failure -j $$((5 * $(JOBS) / 2)) --no-tests=error

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 20

deps: ## install every Debian package that build, demo and test need
	$(deps) build demo test

build: ## the five programs, in build/bin
	$(deps) build
	@$(call configure,dev)
	@cmake/build.sh cmake --build --preset dev -j $(JOBS) --target $(programs)

demo: build ## a CDN on Django's static files, visited from 20 cities
	$(deps) demo
	@build/bin/pocketcdn demo --report build/demo.html

test: ## unit tests, scenarios and lint (minutes)
	$(deps) build demo test
	@$(call configure,dev)
	@cmake/build.sh cmake --build --preset dev -j $(JOBS)
	@$(ctest) --test-dir build

test-long: test ## the same under AddressSanitizer, UBSan and ThreadSanitizer, fuzz targets, static analysis
	$(deps) build demo test long
	@CDN_LONG=yes $(ctest) --test-dir build -R 'scenario.(django_ways|wan_truth|wan_many|wan_soak|travel_page|compare|polls)|lint.(includes|tidy)|unit.(edge.policy|edge.store_crash|router.compiled|router.table)'
	@for preset in asan-ubsan tsan; do \
	    cmake --preset $$preset && cmake --build --preset $$preset -j $(JOBS) && \
	    $(ctest) --test-dir build-$$preset -LE lint || exit 1; done
	@/usr/bin/python3 tests/lint/analysis.py --analyze
	@cmake --preset fuzz && cmake --build --preset fuzz -j $(JOBS) --target fuzz-targets && $(ctest) --test-dir build-fuzz -L fuzz

bench: ## pocketcdn beside nginx, Varnish, Traffic Server and gdnsd
	$(deps) build test bench
	@cmake --preset release && cmake --build --preset release -j $(JOBS) --target $(programs) benchmarks
	@/usr/bin/python3 tests/bench/run.py --bin build-release/bin

install: ## into PREFIX (/usr/local), under DESTDIR when set
	$(deps) build
	@cmake --preset release && cmake --build --preset release -j $(JOBS) --target $(programs) pages
	@cmake --install build-release --prefix $(PREFIX)

uninstall: ## what the last `make install` wrote, with the same DESTDIR
	@cmake/uninstall.sh build-release/install_manifest.txt '$(DESTDIR)'

format: ## clang-format on every source file
	$(deps) test
	@git ls-files '*.c' '*.h' | xargs clang-format -i

includes: ## write the #include lines that each file needs, by include-what-you-use
	$(deps) build test
	@$(call configure,dev)
	@CDN_LONG=yes /usr/bin/python3 tests/lint/analysis.py

docs: build ## write docs/settings.md and docs/words.md from the programs' tables
	@build/bin/pocketcdn help --settings >docs/settings.md
	@build/bin/pocketcdn help --words >docs/words.md

lint: ## layers, lengths, format, documents, clang, clang-tidy, include-what-you-use
	$(deps) build test
	@$(call configure,dev)
	@$(ctest) --test-dir build -L lint

geo-data: ## rebuild geo-data/world.mmdb from the public city database
	$(deps) build geo
	@$(call configure,dev)
	@cmake --build --preset dev -j $(JOBS) --target build-world judge-world
	@geo-data/make_world.sh build

geo-full: ## fetch the full city database into geo-data/full
	$(deps) geo
	@geo-data/make_full.sh

clean:
	@rm -rf build build-*
