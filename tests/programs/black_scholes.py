"""European options by the formula of Black and Scholes; the greeks are its derivatives.

Source: F. Black, M. Scholes, "The pricing of options and corporate liabilities", J. Political Economy 81
(1973) 637–654.
"""

import numpy as np
from scipy.special import ndtr

CANNOT = {"autograd"}  # lacks ndtr


def call_price(spot, strike, rate, volatility, maturity):
    d1 = (np.log(spot / strike) + (rate + 0.5 * volatility**2) * maturity) / (volatility * np.sqrt(maturity))
    d2 = d1 - volatility * np.sqrt(maturity)
    return spot * ndtr(d1) - strike * np.exp(-rate * maturity) * ndtr(d2)


def book_value(spot, rate, volatility, strikes, maturities, holdings):
    """What a book of call options is worth; negative holdings are sold ones."""
    return (holdings * call_price(spot, strikes, rate, volatility, maturities)).sum()


def example():
    """The function, where it is differentiated, its data."""
    strikes = np.array([0.9, 1.0, 1.1, 1.25])
    maturities, holdings = np.array([0.5, 1.0, 1.0, 2.0]), np.array([1.0, -2.0, 3.0, 1.5])
    return book_value, (1.05, 0.03, np.array([0.25, 0.2, 0.22, 0.3])), (strikes, maturities, holdings)
