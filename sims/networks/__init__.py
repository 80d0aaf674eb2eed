"""Real networks on real data, in the vocabulary of the theory: the one room that needs the extra "networks" (jax, scikit-learn).

>>> from curriculode import networks
>>> experiment = networks.load("digits-curriculum")
>>> experiment.network.kind, experiment.data.inputs
('mlp', 64)
"""

from curriculode.sims.networks.compare import compare
from curriculode.sims.networks.comparison import OrderComparison
from curriculode.sims.networks.pairs import instability
from curriculode.sims.networks.study import NetworkStudy, load
from curriculode.sims.networks.tickets import NetworkTickets, tickets
from curriculode.sims.networks.train import train

__all__ = ["NetworkStudy", "NetworkTickets", "OrderComparison", "compare", "instability", "load", "tickets", "train"]
