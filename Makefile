# Two commands on a machine that has Python >= 3.11 and make:
#   make demo   explain generated pictures with the bundled classifier, and say where the results are
#   make test   run the test suite
PYTHON ?= python3
VENV ?= .venv

.PHONY: demo test lint format docs docs-serve gallery notebooks clean

demo: $(VENV)/installed-cli
	$(VENV)/bin/saljax demo --out demo

test: $(VENV)/installed-dev
	$(VENV)/bin/pytest -n 2 --dist loadfile $(ARGS)

lint: $(VENV)/installed-dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/pyright

format: $(VENV)/installed-dev
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

docs: $(VENV)/installed-docs
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --quiet
	@echo "build/site/index.html"

docs-serve: $(VENV)/installed-docs
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs serve

notebooks: $(VENV)/installed-notebooks
	$(VENV)/bin/python docs/making/notebooks.py $(ARGS)

gallery: $(VENV)/installed-cli
	$(VENV)/bin/python docs/making/gallery.py $(ARGS)

$(VENV)/installed-%: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "saljax needs Python 3.11 or newer; say which with: make PYTHON=/path/to/python"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --editable ".[$*]"
	touch $@

clean:
	rm -rf $(VENV) demo build dist
