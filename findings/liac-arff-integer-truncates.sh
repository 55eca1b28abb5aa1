#!/usr/bin/env bash
# liac-arff reads the values of an INTEGER attribute by way of float and int: 1.5 becomes 1, -0.7 becomes 0
# and 2**53 + 1 becomes 2**53, without a warning. SciPy's reader of the same file keeps 1.5. It also writes
# the strings "" and "?" as missing values, so that they come back as None.
#
# Why care: ARFF's integer is a hint that Weka reads as numeric, so fractions are valid there. Two Python
# readers of one file then train on different data.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet liac-arff==2.5.0 scipy==1.17.1 numpy==2.4.6

"$folder/bin/python" - <<'PYTHON'
import io
from importlib.metadata import version

import arff
from scipy.io.arff import loadarff

text = f"@relation r\n@attribute n integer\n@data\n1.5\n-0.7\n{2**53 + 1}\n"
by_liac = [row[0] for row in arff.loads(text)["data"]]
by_scipy = [float(row[0]) for row in loadarff(io.StringIO(text))[0]]
print("liac-arff", version("liac-arff"), "and SciPy", version("scipy"))
print("1.5, -0.7, 2**53 + 1 in an integer column; expected: kept, or an error")
print(f"  SciPy {by_scipy}, liac-arff {by_liac}")

rows = [[""], ["?"], ["a"]]
written = arff.dumps({"relation": "r", "attributes": [("s", "STRING")], "data": rows})
read = arff.loads(written)["data"]
print(f"strings {rows} written and read; expected: the same\n  liac-arff {read}")
still = by_liac == [1, 0, 2**53] and by_scipy[:2] == [1.5, -0.7] and read == [[None], [None], ["a"]]
raise SystemExit(0 if still else "no longer so")
PYTHON
