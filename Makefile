# A thin front to meson: everything it does is one command of meson, ninja or ci/.
#   make build    the program, at build/samebits
#   make run      installs what is missing, builds, and runs suites/quickstart.yaml
#   make check    installs what is missing, builds, and passes all tests
#   make check-frameworks   of these the suites in TensorFlow, PyTorch and others, and the Python helper; part of make check
#   make bench    ratios against a floor or a rival, measured in one run
#   make lint     formatting, stages, symbols, shell scripts
BUILD ?= build

.PHONY: build run check check-frameworks bench lint deps clean

build: $(BUILD)/build.ninja
	@if [ -t 1 ]; then ninja -C $(BUILD); else ninja -C $(BUILD) --quiet; fi
	@echo "the program is $(BUILD)/samebits"

$(BUILD)/build.ninja:
	@meson setup $(BUILD) >$(BUILD).setup.log 2>&1 || { cat $(BUILD).setup.log >&2; exit 1; }
	@rm -f $(BUILD).setup.log

run:
	@ci/install-deps
	@$(MAKE) --no-print-directory build
	@$(BUILD)/samebits run suites/quickstart.yaml

# A folder that `make run` made before Check was there has no tests yet.
check: TESTS =
check-frameworks: TESTS = e2e-frameworks e2e-operations e2e-python
check check-frameworks:
	@ci/install-deps --tests --frameworks --onednn3
	@$(MAKE) --no-print-directory build
	@meson introspect $(BUILD) --tests | grep -q '"name"' || meson configure $(BUILD) -Dtests=enabled
	@$(MAKE) --no-print-directory build
	@ci/check $(BUILD) $(TESTS)

bench:
	@ci/install-deps --tests
	@$(MAKE) --no-print-directory build
	@ci/bench $(BUILD)

lint:
	@ci/lint

clean:
	rm -rf $(BUILD)
