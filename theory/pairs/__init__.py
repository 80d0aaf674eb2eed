"""Two copies of a network: branching, the line between them, perturbations of one."""
