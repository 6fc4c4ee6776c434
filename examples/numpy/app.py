"""A function with a heavy import: it solves a system of linear equations."""

import numpy as np


def handler(event, context):
    """Solve ``matrix @ x = values``; without an event, a small system of our own."""
    matrix = np.array(event.get("matrix", [[3.0, 1.0], [1.0, 2.0]]))
    values = np.array(event.get("values", [9.0, 8.0]))
    solution = np.linalg.solve(matrix, values)
    return {"solution": solution.round(9).tolist(), "numpy": np.__version__}
