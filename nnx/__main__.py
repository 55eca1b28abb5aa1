"""``python -m nnx``: what is installed here, and which backends work."""

from nnx.backend import show_versions

if __name__ == "__main__":
    show_versions()
