"""The methods for plain functions, in the form of SciPy: ``minimize``, ``least_squares``, ``curve_fit``."""
