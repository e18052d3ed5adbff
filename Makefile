# Meikan's commands. Each target does its own set-up; nothing is needed by hand but Linux, Rust, Node.js and make.
#
#   make demo   a living node: local chain, contracts, traffic, Postgres, GraphQL   (ARGS="--for 60 --reorgs")
#   make test   everything that must hold, with coverage
#   make bench  how fast it is, beside pgbench           (ARGS="--agents 100000 --feedback 1000000 --seconds 5")
#
# Packages come from npm, crates.io and (for the browser of the tests) from Debian; nothing else is downloaded.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# `npm ci` refuses a lock file that lacks the binaries of platforms which the registry at hand does not carry.
NPM_INSTALL := npm install --no-save --no-audit --no-fund --loglevel=error --prefix
CONTRACT_SOURCES := $(shell find contracts/src contracts/foundry.toml -type f)
WEB_SOURCES := $(shell find web/src web/build.mjs -type f)
EXAMPLES := examples/typescript/node_modules/.package-lock.json examples/python/.venv/.installed

.PHONY: help demo build test simulate kill bench examples fuzz failures check contracts web postgres system unit coverage clean

help: ## Say what there is
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: build contracts postgres ## Run a living demo on this machine (ARGS="--for 60 --reorgs")
	target/debug/meikan demo $(ARGS)

build: web ## Build the node
	cargo build --locked

test: system web contracts postgres $(EXAMPLES) ## Run every test, with coverage
	cargo fmt --check
	@# Where coverage builds too: what macros and build scripts need is built once.
	CARGO_TARGET_DIR=$${CARGO_TARGET_DIR:-target}/coverage cargo clippy --locked --all-targets -- -D warnings
	contracts/script/test.sh
	contracts/script/coverage.sh
	tests/coverage.sh

unit: ## Run the Rust tests alone, without coverage
	cargo test --locked

simulate: postgres ## Play new histories for ever, or COUNT of them, or the one of SEED (KEEP_GOING=1)
	SEED=$(SEED) COUNT=$(COUNT) KEEP_GOING=$(KEEP_GOING) \
		cargo test --locked --profile simulation --test it -- simulation::run::simulate --ignored --exact --nocapture

kill: postgres ## Kill the node at random moments, KILLS times (200), and compare what it leaves
	KILLS=$(KILLS) cargo test --locked --test it -- f60_many_kills --ignored --nocapture

bench: web postgres ## Fill large databases and ask them, beside pgbench (ARGS="--help")
	cargo bench --locked --profile release --bench bench -- $(ARGS)

examples: build contracts postgres $(EXAMPLES) ## Hand in a document of each kind by the example programs
	examples/run.sh

examples/python/.venv/.installed: examples/python/requirements.txt | system
	python3 -m venv $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

fuzz: web ## Fuzz the reader of each kind of document for a minute (SECONDS=600 KIND=FEEDBACK)
	SECONDS_EACH=$(SECONDS) KIND=$(KIND) fuzz/run.sh

failures: ## Say which tests show what is done about each known failure
	tests/failures.sh

contracts: contracts/out/.built ## Build the contracts (Foundry from npm)

contracts/out/.built: contracts/node_modules/.package-lock.json $(CONTRACT_SOURCES)
	contracts/script/build.sh
	@touch $@

web: web/dist/index.html.gz ## Bundle GraphiQL

web/dist/index.html.gz: web/node_modules/.package-lock.json $(WEB_SOURCES)
	npm run --silent --prefix web build

postgres: deploy/postgres/node_modules/.package-lock.json ## Fetch the Postgres that is embedded where none is given

%/node_modules/.package-lock.json: %/package.json %/package-lock.json
	$(NPM_INSTALL) $*
	@touch $@

system: ## Install the Debian packages that the tests need, where they are missing
	@tests/system.sh

clean: ## Remove what was built
	cargo clean
	rm -rf contracts/out contracts/cache web/dist/*
