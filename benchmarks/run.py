"""What is timed, against what: prints every table of benchmarks/README.md.

Use: python benchmarks/run.py [averages] [theory] [committees] [wide] [batch] [tangent] [steps] [lanes] [pairs]
[diffusion] [moments] [tickets] [adjoint] [rest] [networks] [workers] [sweeps] [records] [command]
"""

import sys

from control_tables import adjoint
from landscape_tables import rest
from network_tables import networks
from simulation_tables import diffusion, lanes, moments, pairs, steps, workers
from sweep_tables import command, records, sweeps
from theory_tables import averages, batch, committees, tangent, theory, wide
from ticket_tables import tickets

LISTED = (averages, theory, committees, wide, batch, tangent, steps, lanes, pairs, diffusion, moments, tickets, adjoint, rest)
TABLES = {table.__name__: table for table in (*LISTED, networks, workers, sweeps, records, command)}

if __name__ == "__main__":
    wanted = sys.argv[1:] or list(TABLES)
    if wrong := [name for name in wanted if name not in TABLES]:
        sys.exit(f"unknown: {', '.join(wrong)}; tables: {', '.join(TABLES)}")
    for name in wanted:
        TABLES[name]()
