"""``python -m harness`` is ``fairtrial``."""

from harness.cli import main

main()
