# Two commands from a bare clone: `make images` builds and tests the images, `make test` tests Seedbed itself.
# Where no Docker engine answers, both start the embedded one; `make images` leaves it up, with the images in it.
# `make images SMOKE=--full` runs all programs of the smoke tests.

# Half a minute of the tests' time; bytecode is ignored by git.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: images test test-long test-images register torture lint

images:
	./build.py lock --check
	./build.py render --check
	./build.py build
	./build.py smoke $(SMOKE)

test: lint
	./build.py --catalog tests/images lock --check
	./build.py --catalog tests/images render --check
	.venv/bin/python -m pytest --numprocesses auto --no-loadscope-reorder -m "not long" tests/integration tests/host tests/unit

# The rest of the tests without real images: those that build much, and a little of `make torture`.
test-long:
	./build.py --catalog tests/images lock --check
	.venv/bin/python -m pytest --numprocesses auto --no-loadscope-reorder -m long tests/integration tests/host
	.venv/bin/python -m tests.torture --short

# 10,000 spoiled inputs, then builds that are killed, run out of disk and find their cache spoiled: half an hour.
torture:
	./build.py --catalog tests/images lock --check
	.venv/bin/python -m tests.torture

# What only the real images can show; needs `make images SMOKE=--full` first.
test-images:
	./build.py list
	.venv/bin/python -m pytest --numprocesses 2 tests/image

# Every row of the register of native generators (docs/libraries.md), in the PyTorch image; takes half an hour.
register:
	./build.py list
	.venv/bin/python -m tests.image.register

lint:
	./build.py render --check
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	cd runtime && PYTHONPATH=.. ../.venv/bin/lint-imports --no-cache ../pyproject.toml
	.venv/bin/hadolint images/*/Dockerfile images/*/notebook/Dockerfile tests/images/tiny/Dockerfile
	.venv/bin/shellcheck --external-sources --source-path=SCRIPTDIR runtime/*.sh runtime/profile.d/*.sh .ci/*
	.venv/bin/zizmor --offline --quiet --persona=pedantic .github/workflows
