"""Builds the documentation site: ``python -m docs_build``. CONTRIBUTING.md says how the parts go together."""
