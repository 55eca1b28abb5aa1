#!/usr/bin/env bash
# array-api-compat's namespace for CuPy refuses CuPy's own devices where it makes frequencies.
#
# The standard gives fft.fftfreq and fft.rfftfreq a device=, as every function that creates arrays. In
# array_api_compat.cupy the other creation functions take device=x.device; these two know no device but "cpu"
# and None, so code that passes the device of its array, as the standard asks, ends in a ValueError on a GPU.
# Seen with cupy-cuda13x 14.2.0 and array-api-compat 1.16.0. No GPU is needed: the device is refused first.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet cupy-cuda13x==14.2.0 array-api-compat==1.16.0
"$folder/venv/bin/python" - <<'PYTHON'
import array_api_compat.cupy as xp
import cupy

device = cupy.cuda.Device(0)
for name in ("fftfreq", "rfftfreq"):
    try:
        getattr(xp.fft, name)(4, device=device)
    except ValueError as error:
        print(f"{name}: ValueError: {error}")
        assert "Unsupported device" in str(error)
    else:
        raise SystemExit(f"{name} took CuPy's device: this has changed.")
PYTHON
