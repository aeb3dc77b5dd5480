"""How good a network is: metrics, the report that results.json holds, and its figures.

`report.evaluate_split` makes the report; `python -m model.evaluation MODEL --dataset NAME` prints
it, and says whether its numbers are the ones that MODEL's results.json holds.
"""
