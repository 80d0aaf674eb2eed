"""Sweeps: a table of experiments over a grid of parameters, kept in a file that survives what computes it.

plan.py      which points: parameters crossed or paired, seeds, shards, and the key of each point
settings.py  how every point is computed
point.py     one point: theory, simulation or both; values.py which of its final values are kept, and where they stand
rest.py      the state at rest of a point; odds.py how often each was the end; optima.py the optimum of a point; pairs.py two copies
sources.py   a number of the sources that compute points
workers.py   where points are computed, and what becomes of the points of a worker that died
store.py     the file of finished points; format.py what stands in it and how damage is told; database.py the SQLite file, its locks
             and its complaints; merge.py joins those of several machines
status.py    how far a sweep is
sweep.py     the driver: what is missing is computed, what is finished is a table
tables.py    tables checked, whoever wrote them; average.py their means and gaps
refine.py    a sweep that chooses its points: where a boundary is
"""
