"""`python -m kxflow.cli`."""

from kxflow.cli import main

main()
