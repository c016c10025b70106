"""`python -m earmark` is the command."""

from earmark.cli import main

main()
