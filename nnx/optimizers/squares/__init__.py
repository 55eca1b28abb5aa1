"""Methods for sums of squared residuals: a linear model of the residuals and a control of the step."""
