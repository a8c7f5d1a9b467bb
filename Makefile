# Short names for the commands of run.py, which work on every system. Each sets everything up first.
PYTHON ?= python3

.PHONY: quick repro study test test-quick lint setup

repro study test test-quick lint setup:
	$(PYTHON) run.py $@

quick:
	$(PYTHON) run.py --preset quick
