"""The notebook's cells are run by a test in a process of their own, not imported."""

collect_ignore = ["notebook.py"]
