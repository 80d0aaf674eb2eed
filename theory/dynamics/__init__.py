"""Right-hand sides: a named state and its rate. The integrator knows nothing else of them."""
