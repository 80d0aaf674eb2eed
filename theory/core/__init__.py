"""Tools of the ground floor: compiled kernels and their cache, errors, descriptions, the registry, small linear algebra."""
