"""Whether something happens more often the deeper, or the fuller, a context is. A trend is spoken
of only where a test supports it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import statsmodels.api as sm
from statsmodels.stats.contingency_tables import Table as Contingency
from statsmodels.tools.sm_exceptions import ModelWarning

from verification.totals import DEPTHS

FEWEST = 5
"""Runs that must have leaked, and runs that must not, before a trend is looked for."""

SURE = 0.05
"""The p-value below which a trend is spoken of."""


Counts = Mapping[str, int]
"""Replies of one run, by the class of their depth."""


def with_depth(replies: Sequence[Counts], leaked: Sequence[Counts]) -> str:
    """Whether replies leak more often the deeper in the context they are made, in a sentence.

    All replies of each run, and those of them that leaked. Logistic regression of leaks on the
    depth's class, each twice as deep as the one before; errors clustered by run (K. Liang and S.
    Zeger 1986, "Longitudinal data analysis using generalized linear models", Biometrika 73).
    """
    cells = [
        (run, depth, leaks.get(name, 0), counts[name] - leaks.get(name, 0))
        for run, (counts, leaks) in enumerate(zip(replies, leaked, strict=True))
        for depth, name in enumerate(DEPTHS)
        if name in counts
    ]
    if len({depth for _, depth, _, _ in cells}) < 2:
        return "no evidence of a trend with depth: all replies were made at one depth"
    if few := _too_few([any(leaks.values()) for leaks in leaked]):
        return f"no evidence of a trend with depth: {few}"
    runs, depths, leaks, clean = map(np.asarray, zip(*cells, strict=True))
    model = sm.GLM(
        np.column_stack([leaks, clean]),
        sm.add_constant(depths.astype(float)),
        family=sm.families.Binomial(),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error", ModelWarning)
        warnings.simplefilter("error", RuntimeWarning)
        try:
            fit = model.fit(cov_type="cluster", cov_kwds={"groups": runs})
        except (ModelWarning, RuntimeWarning, np.linalg.LinAlgError):
            return "no evidence of a trend with depth: the replies are too few to fit one"
    p, (low, high) = float(fit.pvalues[1]), np.exp(fit.conf_int()[1])
    if not p < SURE:
        return f"no evidence of a trend with depth (p = {p:.2f})"
    way = "more" if fit.params[1] > 0 else "less"
    return (
        f"replies leak {way} often the deeper they are made: the odds change by a factor of "
        f"{np.exp(fit.params[1]):.2f} with each class of depth (95% {low:.2f} to {high:.2f}, "
        f"{_p(p)}; logistic regression, clustered by run)"
    )


def with_load(loads: Sequence[int], happened: Sequence[bool], what: str) -> str:
    """Whether runs with a greater load do ``what`` more often, in a sentence: the test of Cochran
    (1954) and Armitage (1955), as statsmodels computes it."""
    if few := _too_few(happened):
        return f"no evidence that the load changes how often it {what}: {few}"
    table = Contingency(pd.crosstab(np.asarray(loads), np.asarray(happened)))
    test = table.test_ordinal_association(
        row_scores=np.unique(np.asarray(loads)), col_scores=np.array([0, 1])
    )
    if not test.pvalue < SURE:
        return f"no evidence that the load changes how often it {what} (p = {test.pvalue:.2f})"
    way = "more" if test.zscore > 0 else "less"
    return f"it {what} {way} often with a greater load ({_p(test.pvalue)}, Cochran-Armitage)"


def _p(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def _too_few(happened: Sequence[bool]) -> str | None:
    """Why so few runs tell nothing of a trend; None where they may."""
    yes = int(np.sum(happened))
    if min(yes, len(happened) - yes) >= FEWEST:
        return None
    return f"{yes} of {len(happened)} runs are too few, or too many, to tell"
