"""Wrong uses are read by type checkers only: most of them raise."""

collect_ignore_glob = ["wrong_*.py"]
