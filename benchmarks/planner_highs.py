"""HiGHS with its model kept: between sites only costs, bounds, limits, coefficients and integrality change."""

from __future__ import annotations

import time
from typing import Any

import highspy
import numpy as np
from scipy.sparse import csc_array

from policies.site.problem import Fleet
from policies.site.reference import CHARGES, program
from policies.site.site_terms import effective_floors

LINEAR_ROWS = 3  # blocks of rows without binaries


class KeptModel:
    """One model of one kind, linear or with binaries, for sites of as many steps."""

    def __init__(self) -> None:
        self.solver = highspy.Highs()
        self.solver.silent()
        self.solver.setOptionValue("threads", 1)
        self.solver.setOptionValue("mip_rel_gap", 1e-6)
        self.matrix: Any = None

    def solve(self, cost: Any, integral: Any, lower: Any, upper: Any, rows: Any) -> tuple[float, float]:
        """Optimum (NaN: infeasible), and the time of the solver's run alone. [ms]"""
        matrix, solver, n = csc_array(rows[0]), self.solver, len(cost)
        if self.matrix is None:
            self._pass(matrix, n)
        else:
            change = (matrix - self.matrix).tocoo()
            changed = np.asarray(csc_array(matrix)[change.row, change.col])
            for row, col, value in zip(change.row, change.col, np.ravel(changed), strict=True):
                solver.changeCoeff(int(row), int(col), float(value))
        self.matrix = matrix
        columns = np.arange(n, dtype=np.int32)
        solver.changeColsCost(n, columns, cost)
        solver.changeColsBounds(n, columns, lower, upper)
        for k in range(matrix.shape[0]):
            solver.changeRowBounds(k, float(rows[1][k]), float(rows[2][k]))
        if integral.any():
            kinds = [
                highspy.HighsVarType.kInteger if one else highspy.HighsVarType.kContinuous for one in integral
            ]
            solver.changeColsIntegrality(n, columns, np.array([kind.value for kind in kinds], np.uint8))
        began = time.perf_counter()
        solver.run()
        spent = 1000 * (time.perf_counter() - began)
        feasible = solver.getModelStatus() == highspy.HighsModelStatus.kOptimal
        return (solver.getInfo().objective_function_value if feasible else np.nan), spent

    def _pass(self, matrix: Any, n: int) -> None:
        model = highspy.HighsLp()
        model.num_col_, model.num_row_ = n, matrix.shape[0]
        model.col_cost_, model.col_lower_, model.col_upper_ = np.zeros(n), np.zeros(n), np.zeros(n)
        model.row_lower_, model.row_upper_ = np.zeros(matrix.shape[0]), np.zeros(matrix.shape[0])
        model.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        model.a_matrix_.start_, model.a_matrix_.index_ = matrix.indptr, matrix.indices
        model.a_matrix_.value_ = matrix.data
        self.solver.passModel(model)


def solve_kept(fleet: Fleet) -> tuple[np.ndarray, np.ndarray]:
    """Optimal costs (n,), NaN where infeasible, and the times of HiGHS (n,). [currency, ms]"""
    n, n_steps = fleet.load_w.shape
    found, spent, kept = np.empty(n), np.empty(n), (KeptModel(), KeptModel())
    floors = np.empty(n_steps + 1)
    for i in range(n):
        effective_floors(fleet, i, floors)
        cost, integral, bounds, rows = program(fleet, i, floors)
        mixed = bool(integral.any())
        # a linear program goes without the columns and rows of the binaries
        columns = np.arange(len(cost)) if mixed else np.append(np.arange(CHARGES * n_steps), len(cost) - 1)
        height = rows.A.shape[0] if mixed else LINEAR_ROWS * n_steps
        part = csc_array(rows.A)[:height][:, columns], rows.lb[:height], rows.ub[:height]
        found[i], spent[i] = kept[mixed].solve(
            cost[columns], integral[columns], bounds.lb[columns], bounds.ub[columns], part
        )
    return found / 1000, spent
