"""`python -m saljax`, the same as `saljax`."""

from saljax.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
